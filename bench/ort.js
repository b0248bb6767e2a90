// Runs one ONNX model in ONNX Runtime when told to: each line N on standard input makes N timed runs, their
// times in ms on one line of standard output. Usage: node ort.js MODEL.onnx INPUT.f32 SHAPE THREADS OUT.f32
"use strict";
const fs = require("fs");
const readline = require("readline");
const ort = require("onnxruntime-node");

async function main() {
    const [model, input, shape, threads, out] = process.argv.slice(2);
    const session = await ort.InferenceSession.create(model, {
        intraOpNumThreads: Number(threads), interOpNumThreads: 1, executionMode: "sequential",
        graphOptimizationLevel: "all",
    });
    const bytes = fs.readFileSync(input);
    const data = new Float32Array(bytes.buffer, bytes.byteOffset, bytes.length / 4);
    const feeds = { [session.inputNames[0]]: new ort.Tensor("float32", data, shape.split("x").map(Number)) };
    const result = (await session.run(feeds))[session.outputNames[0]].data;
    fs.writeFileSync(out, Buffer.from(result.buffer, result.byteOffset, result.byteLength));
    console.log("ready");
    for await (const line of readline.createInterface({ input: process.stdin })) {
        const times = [];
        for (let i = 0; i < Number(line); i++) {
            const start = process.hrtime.bigint();
            await session.run(feeds);
            times.push(Number(process.hrtime.bigint() - start) / 1e6);
        }
        console.log(times.map((t) => t.toFixed(4)).join(" "));
    }
}

main();
