# kiln - plain GNU make.
#
#   make              the compiler, build/kiln
#   make test         everything that can fail, sanitizers on; ends with `N passed, N failed`
#   make demo         a trained network as C, on 10,000 images
#   make help         the other targets
#
# B is the folder built in: make B=/tmp/kiln. SANITIZE=1 builds with address and undefined-behaviour
# checks.

B      ?= build
PREFIX ?= /usr/local
CFLAGS ?= -O2 -g
PYTHON  = /usr/bin/python3

ONNX_PROTO ?= /usr/include/onnx/onnx.proto

FLAGS = -std=c11 -D_GNU_SOURCE -Wall -Wextra -Wshadow -Werror
INCLUDES = -Icompiler -Iruntime -I$(B)/protobuf
LIBS  = -lcjson -lprotobuf-c -lm
ifdef SANITIZE
override CFLAGS := -O1 -g -fno-omit-frame-pointer -fsanitize=address,undefined \
                   -fno-sanitize-recover=all
endif

SOURCES  := $(wildcard compiler/*.c compiler/*/*.c)
RUNTIME  := $(sort $(wildcard runtime/*.[ch] runtime/boards/*.[ch] runtime/boards/*.ld))
OBJECTS  := $(SOURCES:%.c=$(B)/%.o) $(B)/runtime/npy.o $(B)/runtime/npy_elements.o \
            $(B)/embedded.o $(B)/protobuf/onnx.pb-c.o
PARTS    := $(filter-out $(B)/compiler/main.o,$(OBJECTS)) $(B)/runtime/kiln.o
UNITS    := $(patsubst tests/unit/%.c,$(B)/unit/%,$(wildcard tests/unit/*_test.c))
# Headers are maps, laid out by hand; clang-format has the rest.
C_FILES  := $(SOURCES) $(wildcard tests/unit/*.c tests/*/Inputs/*.c bench/*.c) \
            $(filter %.c,$(RUNTIME))
SCRIPTS  := $(wildcard tools/*.sh tests/*/*.sh) .ci/run tests/run-all

.PHONY: all test sanitize units demo accuracy bench schedules onnx-suite onnx-networks generated check-format format lint install clean deps help
.DELETE_ON_ERROR:

all: $(B)/kiln

# make V=1 prints whole commands.
ifndef V
SAY = @echo '  $(1)  $@';
endif

$(B)/kiln: $(OBJECTS)
	$(call SAY,LINK)$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $(OBJECTS) $(LIBS)

$(B)/%.o: %.c
	@mkdir -p $(@D)
	$(call SAY,CC  )$(CC) $(FLAGS) $(CFLAGS) $(INCLUDES) -MMD -MP -c -o $@ $<

# The runtime travels inside the compiler, so that kiln is one file wherever it is installed.
$(B)/embedded.c: tools/embed.sh $(RUNTIME)
	@mkdir -p $(@D)
	$(call SAY,TEXT)tools/embed.sh $(RUNTIME) > $@

$(B)/embedded.o: $(B)/embedded.c
	$(call SAY,CC  )$(CC) $(FLAGS) $(CFLAGS) $(INCLUDES) -MMD -MP -c -o $@ $<

# The messages of ONNX, as C, for the folder that reads them.
$(B)/protobuf/onnx.pb-c.h: $(ONNX_PROTO)
	@mkdir -p $(@D)
	$(call SAY,TEXT)protoc-c -I$(dir $<) --c_out=$(@D) $(notdir $<)

$(B)/protobuf/onnx.pb-c.c: $(B)/protobuf/onnx.pb-c.h ;

$(B)/protobuf/onnx.pb-c.o: $(B)/protobuf/onnx.pb-c.c
	$(call SAY,CC  )$(CC) -std=c11 $(CFLAGS) -I$(B)/protobuf -c -o $@ $<

$(filter $(B)/compiler/onnx/%.o,$(OBJECTS)) $(B)/tests/unit/onnx_hostile_test.o: \
    | $(B)/protobuf/onnx.pb-c.h

$(B)/unit/%: $(B)/tests/unit/%.o $(PARTS)
	@mkdir -p $(@D)
	$(call SAY,LINK)$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $^ $(LIBS) -lpthread

units: $(UNITS)

sanitize:
	$(MAKE) B=$(B)/asan SANITIZE=1 all units

test:
	tools/install-deps.sh build test
	$(MAKE) all
	$(MAKE) sanitize
	B=$(B) tests/run-all

demo:
	tools/install-deps.sh build demo
	$(MAKE) all
	B=$(B) $(PYTHON) tools/demo.py

accuracy:
	tools/install-deps.sh build accuracy
	$(MAKE) all
	B=$(B) $(PYTHON) tools/accuracy.py

# NETWORKS="nin lenet5": only these, only printed. Without it docs/performance.md and the README's table are renewed.
bench:
	tools/install-deps.sh build bench
	$(MAKE) all
	B=$(B) tools/bench.sh $(NETWORKS)

# NETWORKS="nin lenet5": these again. Without it those that have no schedule for this machine's target yet.
schedules:
	tools/install-deps.sh build demo
	$(MAKE) all
	KILN=$(B)/kiln $(PYTHON) tools/tune_zoo.py $(NETWORKS)

# The tables of docs/onnx.md come from these two.
onnx-suite:
	tools/install-deps.sh build test
	$(MAKE) all
	B=$(B) $(PYTHON) tools/onnx_suite.py --write

onnx-networks:
	tools/install-deps.sh build bench
	$(MAKE) all
	tools/install-ort.sh $(B)/bench/node
	B=$(B) $(PYTHON) tests/differential/onnx_networks.py --full --write

# The emitted C of one small network, kept for readers; a test checks that it is up to date.
generated: all
	$(B)/kiln compile models/tiny.json --target c99 -o generated/tiny.c

check-format:
	clang-format --dry-run --Werror $(C_FILES)

format:
	clang-format -i $(C_FILES)

lint: $(B)/embedded.c $(B)/protobuf/onnx.pb-c.h
	@echo '  LINT  cppcheck, clang-tidy, sh -n'
	@cppcheck --quiet --std=c11 --error-exitcode=1 --enable=warning,portability,performance \
	    --inline-suppr --suppress=missingIncludeSystem --suppressions-list=tools/cppcheck.txt \
	    $(INCLUDES) $(SOURCES) $(filter %.c,$(RUNTIME))
	@printf '%s\n' $(SOURCES) $(filter-out runtime/boards/%,$(filter %.c,$(RUNTIME))) | \
	    xargs -P $(shell nproc) -I FILE clang-tidy --quiet FILE -- $(FLAGS) $(INCLUDES) 2>/dev/null
	@for s in $(SCRIPTS); do sh -n $$s || exit 1; done

install: all
	install -d $(DESTDIR)$(PREFIX)/bin $(DESTDIR)$(PREFIX)/share/man/man1 \
	    $(DESTDIR)$(PREFIX)/share/kiln
	install -m 755 $(B)/kiln $(DESTDIR)$(PREFIX)/bin/kiln
	install -m 644 docs/kiln.1 $(DESTDIR)$(PREFIX)/share/man/man1/kiln.1
	install -m 644 runtime/kiln.h runtime/kiln.c $(wildcard docs/*.json) \
	    $(DESTDIR)$(PREFIX)/share/kiln

deps:
	tools/install-deps.sh build test demo

clean:
	rm -rf $(B)

help:
	@echo 'make                 the compiler, $(B)/kiln'
	@echo 'make test            all tests, with sanitizers; ends with N passed, N failed'
	@echo 'make demo            a trained network as C, on 10,000 images'
	@echo 'make accuracy        the trained networks, as C and in PyTorch, on 10,000 images'
	@echo 'make bench           emitted code against other runtimes; renews docs/performance.md'
	@echo "make onnx-suite      ONNX's backend tests; renews their table in docs/onnx.md"
	@echo 'make onnx-networks   torchvision through ONNX, against PyTorch and ONNX Runtime'
	@echo 'make generated       renew generated/'
	@echo 'make format          clang-format over the sources (check-format only looks)'
	@echo 'make lint            cppcheck and clang-tidy'
	@echo 'make install         to $$(DESTDIR)$$(PREFIX), PREFIX=$(PREFIX)'
	@echo 'make deps            the Debian packages for building, testing and the demo'
	@echo 'make clean           remove $(B)'

-include $(OBJECTS:.o=.d) $(wildcard $(B)/tests/unit/*.d)
