# lit configuration. One behaviour a file; a .test file is the model it tests, with its commands as
# comments. The program under test is KILN in the environment, or build/kiln.
import os

import lit.formats

LLVM_BIN = "/usr/lib/llvm-14/bin"

config.name = "kiln"
config.test_format = lit.formats.ShTest(execute_external=False)
config.suffixes = [".test"]
config.test_source_root = os.path.dirname(os.path.abspath(__file__))
root = os.path.dirname(config.test_source_root)
build = os.path.join(root, os.environ.get("B", "build"))
config.test_exec_root = os.environ.get("LIT_OUTPUT", os.path.join(build, "lit"))

kiln = os.path.join(root, os.environ.get("KILN", os.path.join(build, "kiln")))
config.substitutions.append(("%models", os.path.join(root, "models")))
config.substitutions.append(("%root", root))

path = [os.path.dirname(kiln), LLVM_BIN, "/usr/bin", "/bin", os.environ["PATH"]]
config.environment["PATH"] = os.pathsep.join(path)
config.environment["LC_ALL"] = "C"
# A sanitizer's complaint is a signal, so that `not kiln` does not take it for a refusal.
config.environment["ASAN_OPTIONS"] = "abort_on_error=1:detect_leaks=0"
config.environment["UBSAN_OPTIONS"] = "abort_on_error=1:print_stacktrace=1"
for name in ("CC", "TMPDIR"):
    if name in os.environ:
        config.environment[name] = os.environ[name]
