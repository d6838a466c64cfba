// Changes good bags of cells at random and asks the reference node's own reader (inside npm's @ton/sandbox)
// about each. Writes the verdicts as cases for ton_vectors:
//   node compare.mjs SEED SECONDS DIR && ton_vectors DIR
// "it is taken and must not be" is a mistake of ours. "is refused" names a strictness of ours: bytes after the
// bag, cells that nothing refers to, absent cells and reserved flags are let pass by the node.
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import core from "@ton/core";
import sandbox from "@ton/sandbox";

const [seed = "1", seconds = "60", directory = "compared"] = process.argv.slice(2);
const here = (path) => new URL(path, import.meta.url);
const configFile = readFileSync(here("./node_modules/@ton/sandbox/dist/config/slimConfig.js"), "utf8");
const config = /slimConfig = [`"']([^`"']+)[`"']/.exec(configFile)[1];
const nobody = sandbox.createEmptyShardAccount(new core.Address(0, Buffer.alloc(32, 1)));
const account = core.beginCell().store(core.storeShardAccount(nobody)).endCell().toBoc().toString("base64");

let state = BigInt(seed);
function random(below) {
    state = (state * 6364136223846793005n + 1442695040888963407n) & 0xffffffffffffffffn;
    return Number((state >> 33n) % BigInt(below));
}

// With and without their checksum: most changes to the former die there.
function samples() {
    const bags = [];
    for (const file of ["cells.json", "malformed.json", "highload_v3.json", "transactions.json"])
        for (const test of JSON.parse(readFileSync(here(file))).cases) {
            const bytes = Buffer.from(test.boc ?? test.external ?? "", "base64");
            if (bytes.length < 16 || bytes.length > 1100) continue;
            bags.push(bytes);
            if (bytes.readUInt32BE(0) !== 0xb5ee9c72 || !(bytes[4] & 0x40)) continue;
            const unchecked = Buffer.from(bytes.subarray(0, -4));
            unchecked[4] &= ~0x40;
            bags.push(unchecked, unchecked, unchecked);
        }
    return bags;
}

function changed(bag) {
    let bytes = Buffer.from(bag);
    for (let edits = 1 + random(3); edits > 0; edits -= 1) {
        const at = random(random(2) ? bytes.length : Math.min(24, bytes.length));
        const kind = random(5);
        if (kind === 0) bytes[at] ^= 1 << random(8);
        else if (kind === 1) bytes[at] = random(256);
        else if (kind === 2) bytes[at] = [0, 1, 2, 3, 4, 8, 9, 0x28, 0x29, 255][random(10)];
        else if (kind === 3) bytes = Buffer.concat([bytes.subarray(0, at), bytes.subarray(at + 1)]);
        else bytes = Buffer.concat([bytes.subarray(0, at), Buffer.from([random(256)]), bytes.subarray(at)]);
    }
    return bytes.toString("base64");
}

let executor = await sandbox.Executor.create();

// "ok" or "refuse"; null when the machine itself broke on it (some bags of exotic cells as a message do that).
async function judge(bag) {
    const message = { toBoc: () => ({ toString: () => bag }) }; // handed over unread
    try {
        const { result } = await executor.runTransaction({
            config,
            libs: null,
            verbosity: "short",
            shardAccount: account,
            message,
            now: 1795000000,
            lt: 1000000n,
            randomSeed: Buffer.alloc(32),
            ignoreChksig: false,
            debugEnabled: false,
        });
        return !result.success && /deserialize message boc/.test(result.error) ? "refuse" : "ok";
    } catch {
        executor = await sandbox.Executor.create();
        return null;
    }
}

const bags = samples();
const cases = [];
for (const end = Date.now() + Number(seconds) * 1000; Date.now() < end;) {
    const boc = changed(bags[random(bags.length)]);
    const expect = await judge(boc);
    if (expect) cases.push({ id: String(cases.length), boc, expect });
}
mkdirSync(directory, { recursive: true });
writeFileSync(`${directory}/cells.json`, JSON.stringify(cases));
console.log(`${cases.length} bags, ${cases.filter((test) => test.expect === "ok").length} good to the node`);
process.exit(0);
