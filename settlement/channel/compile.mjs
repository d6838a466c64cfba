// Compiles channel.tolk. With --write it puts the code into code.inc, a C string literal that C++ includes and
// the tests here read; without, it says whether that file is still what the source compiles to.
//   node compile.mjs [--write]
import { readFileSync, writeFileSync } from "node:fs";
import { pathToFileURL } from "node:url";
import tolk from "@ton/tolk-js";

const source = new URL("./channel.tolk", import.meta.url);
const written = new URL("./code.inc", import.meta.url);

export async function compile() {
    const compiled = await tolk.runTolkCompiler({
        entrypointFileName: "channel.tolk",
        fsReadCallback: (path) => {
            if (path !== "channel.tolk") throw new Error("no such file: " + path);
            return readFileSync(source, "utf8");
        },
    });
    if (compiled.status === "error") throw new Error(compiled.message);
    return { code: compiled.codeBoc64, hash: compiled.codeHashHex.toLowerCase(), fift: compiled.fiftCode };
}

// The committed code, in base64.
export function committedCode() {
    return [...readFileSync(written, "utf8").matchAll(/^"(.*)"$/gm)].map((line) => line[1]).join("");
}

function literal({ code, hash }) {
    const lines = code.match(/.{1,92}/g).map((line) => `"${line}"`);
    return `// Made by settlement/channel/compile.mjs from channel.tolk. Code hash\n// ${hash}.\n${lines.join("\n")}\n`;
}

if (import.meta.url === pathToFileURL(process.argv[1]).href) {
    const compiled = await compile();
    if (process.argv.includes("--fift")) console.log(compiled.fift);
    if (process.argv.includes("--write")) writeFileSync(written, literal(compiled));
    const same = committedCode() === compiled.code;
    console.log(`${compiled.hash}: ${same ? "code.inc is this code" : "code.inc is another code"}`);
    process.exitCode = same ? 0 : 1;
}
