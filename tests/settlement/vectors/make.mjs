// Makes the vectors that the C++ of settlement/ is checked against, with an independent implementation:
// the published TypeScript libraries, and the real virtual machine for transactions and fees.
//   npm ci && npm run make
// Deterministic: the same libraries give the same files. Nothing in here is secret.
import { createHash } from "node:crypto";
import { writeFileSync } from "node:fs";
import core from "@ton/core";
import crypto from "@ton/crypto";
import ton from "@ton/ton";
import { makeTransactions } from "./make_transactions.mjs";
import { malformedBags } from "./make_malformed.mjs";
import { highloadCode, highloadExternal, highloadInit } from "./highload.mjs";

const {
    Address,
    Cell,
    Dictionary,
    beginCell,
    comment,
    internal,
    external,
    loadMessage,
    storeMessage,
    storeMessageRelaxed,
    storeStateInit,
} = core;

let state = 20261122n;
function random(below) {
    // a fixed sequence, so that findings repeat
    state = (state * 6364136223846793005n + 1442695040888963407n) & 0xffffffffffffffffn;
    return Number((state >> 33n) % BigInt(below));
}
const randomBytes = (count) => Buffer.from(Array.from({ length: count }, () => random(256)));
export const boc = (cell) => cell.toBoc({ idx: false, crc32: true }).toString("base64");
const hex = (bytes) => Buffer.from(bytes).toString("hex");
const seedOf = (name) =>
    createHash("sha256")
        .update("cocoon vectors " + name)
        .digest();
const keyOf = (name) => crypto.keyPairFromSeed(seedOf(name));
const someAddress = (name, workchain = 0) => new Address(workchain, seedOf("address " + name));
const cellOf = (writer) => beginCell().store(writer).endCell();

function save(name, about, cases) {
    const text = JSON.stringify({ about, cases }, null, 1)
        .replace(/\n {3,}/g, " ")
        .replace(/\n  (?=[\]}])/g, " ");
    writeFileSync(new URL(name, import.meta.url), text + "\n");
    console.log(name, cases.length, text.length);
}

// ---- Cells and bags -----------------------------------------------------------------------------

function randomCell(depth) {
    const builder = beginCell();
    const bits = random(1024);
    for (let i = 0; i < bits; i += 1) builder.storeBit(random(2) === 1);
    const refs = depth === 0 ? 0 : random(5);
    for (let i = 0; i < refs; i += 1) builder.storeRef(randomCell(depth - 1));
    return builder.endCell();
}

function chain(length) {
    let cell = beginCell().storeUint(7, 8).endCell();
    for (let i = 1; i < length; i += 1)
        cell = beginCell()
            .storeUint(i % 251, 8)
            .storeRef(cell)
            .endCell();
    return cell;
}

function ladder(height) {
    // few cells, 4^height paths
    let cell = beginCell().storeUint(1, 1).endCell();
    for (let i = 0; i < height; i += 1)
        cell = beginCell()
            .storeUint(i, 5)
            .storeRef(cell)
            .storeRef(cell)
            .storeRef(cell)
            .storeRef(cell)
            .endCell();
    return cell;
}

function pruned(level, cell) {
    return beginCell()
        .storeUint(1, 8)
        .storeUint(1 << (level - 1), 8)
        .storeBuffer(cell.hash(0))
        .storeUint(cell.depth(0), 16)
        .endCell({ exotic: true });
}
// In place of a cell that itself holds pruned branches of level 1.
const prunedTwice = (cell) =>
    beginCell()
        .storeUint(1, 8)
        .storeUint(3, 8)
        .storeBuffer(cell.hash(0))
        .storeBuffer(cell.hash(1))
        .storeUint(cell.depth(0), 16)
        .storeUint(cell.depth(1), 16)
        .endCell({ exotic: true });
const merkleProof = (cell) =>
    beginCell()
        .storeUint(3, 8)
        .storeBuffer(cell.hash(0))
        .storeUint(cell.depth(0), 16)
        .storeRef(cell)
        .endCell({ exotic: true });
const merkleUpdate = (before, after) =>
    beginCell()
        .storeUint(4, 8)
        .storeBuffer(before.hash(0))
        .storeBuffer(after.hash(0))
        .storeUint(before.depth(0), 16)
        .storeUint(after.depth(0), 16)
        .storeRef(before)
        .storeRef(after)
        .endCell({ exotic: true });
const library = (hash) => beginCell().storeUint(2, 8).storeBuffer(hash).endCell({ exotic: true });

function cellCases() {
    const cases = [];
    const add = (id, cell, options = {}) =>
        cases.push({
            id,
            boc: (options.bytes ?? cell.toBoc({ idx: false, crc32: true })).toString("base64"),
            hash: hex(cell.hash()),
            depth: cell.depth(),
            bits: cell.bits.length,
            refs: cell.refs.length,
            level: cell.level(),
            exotic: cell.isExotic,
            hashes: [0, 1, 2, 3].map((level) => hex(cell.hash(level))),
            canonical: !options.bytes, // our writer gives the very same bytes
        });
    add("empty", beginCell().endCell());
    for (const bits of [1, 7, 8, 9, 255, 256, 1016, 1022, 1023])
        add(
            `zeros-${bits}`,
            beginCell()
                .storeBuffer(Buffer.alloc(bits >> 3))
                .storeUint(0, bits & 7)
                .endCell(),
        );
    add("ones-1023", beginCell().storeBuffer(Buffer.alloc(127, 255)).storeUint(127, 7).endCell());
    for (let i = 0; i < 8; i += 1) add(`random-${i}`, randomCell(i % 4));
    add("chain-1025", chain(1025)); // depth 1024: the deepest there is
    add("ladder-16", ladder(16));
    const sample = randomCell(2);
    const plain = sample.toBoc({ idx: false, crc32: false });
    add("without-crc", sample, { bytes: plain });
    add("with-index", sample, { bytes: sample.toBoc({ idx: true, crc32: false }) });
    add("with-index-and-crc", sample, { bytes: sample.toBoc({ idx: true, crc32: true }) });
    add("library", library(seedOf("library")));
    const leaf = randomCell(1);
    const withPruned = beginCell()
        .storeUint(5, 3)
        .storeRef(pruned(1, leaf))
        .storeRef(randomCell(1))
        .endCell();
    add("merkle-proof", merkleProof(withPruned));
    add("merkle-update", merkleUpdate(withPruned, randomCell(1)));
    add("pruned-level-1", pruned(1, leaf));
    add(
        "above-pruned-level-2",
        beginCell().storeRef(prunedTwice(withPruned)).storeRef(pruned(1, leaf)).endCell(),
    );
    add(
        "proof-in-proof",
        merkleProof(
            beginCell()
                .storeRef(
                    merkleProof(beginCell().storeRef(prunedTwice(withPruned)).storeUint(1, 1).endCell()),
                )
                .endCell(),
        ),
    );
    add(
        "code-of-v5",
        ton.WalletContractV5R1.create({ workchain: 0, publicKey: Buffer.alloc(32, 7) }).init.code,
    );
    return cases;
}

// ---- Addresses ----------------------------------------------------------------------------------

function addressCases() {
    const cases = [];
    for (const name of ["a", "b", "c", "d"])
        for (const workchain of [0, -1]) {
            const address = someAddress(name, workchain);
            const raw = address.toRawString();
            const ok = (id, text, extra = {}) =>
                cases.push({ id: `${name}${workchain}-${id}`, text, expect: "ok", raw, ...extra });
            ok("raw", raw);
            ok("raw-upper-case", `${workchain}:${hex(address.hash).toUpperCase()}`);
            for (const bounceable of [true, false])
                for (const testOnly of [true, false])
                    for (const urlSafe of [true, false])
                        ok(
                            `friendly-${bounceable}-${testOnly}-${urlSafe}`,
                            address.toString({ bounceable, testOnly, urlSafe }),
                            {
                                bounceable,
                                test_only: testOnly,
                                url_safe: urlSafe,
                                network: testOnly ? -3 : -239,
                            },
                        );
        }
    const good = someAddress("a");
    const refuse = (id, text, network = -239) => cases.push({ id, text, network, expect: "refuse" });
    const friendly = good.toString();
    refuse("empty", "");
    refuse("test-only-on-mainnet", good.toString({ testOnly: true }));
    refuse(
        "one-letter-changed",
        friendly.slice(0, 10) + (friendly[10] === "A" ? "B" : "A") + friendly.slice(11),
    );
    refuse("too-short", friendly.slice(0, 47));
    refuse("too-long", friendly + "A");
    refuse("padded", friendly + "=");
    refuse("space-before", " " + friendly);
    refuse("space-after", friendly + " ");
    refuse("raw-63-digits", good.toRawString().slice(0, -1));
    refuse("raw-65-digits", good.toRawString() + "0");
    refuse("raw-no-workchain", good.toRawString().slice(1));
    refuse("raw-workchain-1", "1" + good.toRawString().slice(1));
    refuse("raw-workchain-plus-0", "+" + good.toRawString());
    refuse("raw-workchain-00", "0" + good.toRawString());
    refuse("raw-workchain-minus-0", "-" + good.toRawString());
    refuse("raw-not-hex", good.toRawString().slice(0, -1) + "g");
    refuse("two-colons", "0:" + good.toRawString());
    const bytes = Buffer.from(friendly, "base64url");
    const spell = (change) => {
        const copy = Buffer.from(bytes);
        change(copy);
        let crc = 0;
        for (const byte of copy.subarray(0, 34)) {
            crc ^= byte << 8;
            for (let i = 0; i < 8; i += 1)
                crc = crc & 0x8000 ? ((crc << 1) ^ 0x1021) & 0xffff : (crc << 1) & 0xffff;
        }
        copy.writeUInt16BE(crc, 34);
        return copy.toString("base64url");
    };
    refuse(
        "unknown-tag",
        spell((copy) => {
            copy[0] = 0x31;
        }),
    );
    refuse(
        "workchain-1",
        spell((copy) => {
            copy[1] = 1;
        }),
    );
    refuse(
        "workchain-minus-2",
        spell((copy) => {
            copy[1] = 0xfe;
        }),
    );
    let mixed;
    for (let i = 0; !mixed; i += 1) {
        const text = someAddress("mixed" + i).toString({ urlSafe: true });
        if ((text.match(/[-_]/g) ?? []).length >= 2)
            mixed = text.replace(/[-_]/, (c) => (c === "-" ? "+" : "/"));
    }
    refuse("mixed-alphabets", mixed);
    return cases;
}

// ---- Comments, dictionaries, messages -----------------------------------------------------------

function commentCases() {
    const cases = [];
    const texts = [
        "",
        "x",
        "acc_42",
        "memo with spaces",
        "Ünïcödé ☂ 🜂",
        "a".repeat(122),
        "b".repeat(123),
        "c".repeat(124),
        "d".repeat(250),
        "e".repeat(251),
        "f".repeat(377),
        "g".repeat(1024),
    ];
    texts.forEach((text, i) =>
        cases.push({ id: `text-${i}`, text, body: boc(comment(text)), canonical: true }),
    );
    let snake = beginCell().storeStringTail("z").endCell();
    for (let i = 0; i < 60; i += 1) snake = beginCell().storeStringTail("s").storeRef(snake).endCell();
    const head = beginCell().storeUint(0, 32).storeRef(snake).endCell();
    cases.push({ id: "snake-62-cells", text: "s".repeat(60) + "z", body: boc(head), canonical: false });
    const none = (id, cell) => cases.push({ id, text: null, body: boc(cell), canonical: false });
    none("empty-body", beginCell().endCell());
    none("31-bits", beginCell().storeUint(0, 31).endCell());
    none("opcode", beginCell().storeUint(0x7362d09c, 32).storeStringTail("hi").endCell());
    none("odd-bits", beginCell().storeUint(0, 32).storeUint(3, 5).endCell());
    none("two-references", beginCell().storeUint(0, 32).storeRef(Cell.EMPTY).storeRef(snake).endCell());
    none("empty-link", beginCell().storeUint(0, 32).storeRef(Cell.EMPTY).endCell());
    none("not-utf8", beginCell().storeUint(0, 32).storeUint(0xff, 8).endCell());
    none("too-long", comment("h".repeat(1025)));
    none("exotic", library(seedOf("comment")));
    return cases;
}

function dictionaryCases() {
    const cases = [];
    for (const [keyBits, count] of [
        [1, 2],
        [8, 1],
        [8, 7],
        [13, 20],
        [15, 3],
        [15, 60],
        [32, 9],
        [64, 25],
    ]) {
        const dictionary = Dictionary.empty(Dictionary.Keys.BigUint(keyBits), Dictionary.Values.BigUint(40));
        for (let i = 0; i < count; i += 1) {
            const key =
                keyBits === 15
                    ? BigInt(i)
                    : BigInt("0x" + hex(randomBytes(8))) & ((1n << BigInt(keyBits)) - 1n);
            dictionary.set(keyBits === 1 ? BigInt(i) : key, BigInt(random(1 << 30)));
        }
        const entries = dictionary
            .keys()
            .sort((a, b) => (a < b ? -1 : 1))
            .map((key) => [key.toString(), dictionary.get(key).toString()]);
        const root = beginCell().storeDictDirect(dictionary).endCell();
        cases.push({
            id: `${keyBits}-bits-${count}`,
            boc: boc(root),
            key_bits: keyBits,
            value_bits: 40,
            entries,
        });
    }
    const leaf = beginCell().storeUint(0, 2).storeUint(1, 8).endCell();
    const refuse = (id, cell, keyBits) =>
        cases.push({ id, boc: boc(cell), key_bits: keyBits, expect: "refuse" });
    refuse("label-too-long", beginCell().storeUint(0b10, 2).storeUint(15, 4).storeUint(0, 15).endCell(), 8);
    refuse("fork-with-one-branch", beginCell().storeUint(0, 2).storeRef(leaf).endCell(), 8);
    refuse("fork-with-bits", beginCell().storeUint(0, 3).storeRef(leaf).storeRef(leaf).endCell(), 1);
    refuse("unary-without-end", beginCell().storeUint(0b0111, 4).endCell(), 8);
    refuse("same-too-long", beginCell().storeUint(0b110, 3).storeUint(9, 4).endCell(), 8);
    refuse("empty-cell", Cell.EMPTY, 8);
    refuse("exotic", library(seedOf("dictionary")), 8);
    return cases;
}

function normalised(message) {
    return beginCell()
        .storeUint(2, 2)
        .storeUint(0, 2)
        .storeAddress(message.info.dest)
        .storeUint(0, 4)
        .storeBit(false)
        .storeBit(true)
        .storeRef(message.body)
        .endCell()
        .hash();
}

function describe(id, cell) {
    const message = loadMessage(cell.beginParse());
    const info = message.info;
    const found = {
        id,
        boc: boc(cell),
        hash: hex(cell.hash()),
        kind: info.type.replace("-", "_"),
        body_hash: hex(message.body.hash()),
        init_hash: message.init ? hex(cellOf(storeStateInit(message.init)).hash()) : null,
    };
    if (info.type === "external-in")
        Object.assign(found, {
            destination: info.dest.toRawString(),
            import_fee: info.importFee.toString(),
            normalised_hash: hex(normalised(message)),
        });
    if (info.type === "internal")
        Object.assign(found, {
            source: info.src.toRawString(),
            destination: info.dest.toRawString(),
            value: info.value.coins.toString(),
            bounce: info.bounce,
            bounced: info.bounced,
            ihr_disabled: info.ihrDisabled,
            forward_fee: info.forwardFee.toString(),
            created_lt: info.createdLt.toString(),
            created_at: info.createdAt,
        });
    if (info.type === "external-out")
        Object.assign(found, {
            source: info.src.toRawString(),
            created_lt: info.createdLt.toString(),
            created_at: info.createdAt,
        });
    return found;
}

function messageCases() {
    const cases = [];
    const init = ton.WalletContractV4.create({ workchain: 0, publicKey: keyOf("m").publicKey }).init;
    const bodies = [Cell.EMPTY, comment("hello"), comment("h".repeat(120)), randomCell(2)];
    bodies.forEach((body, i) => {
        for (const forceRef of [false, true])
            for (const deploy of [false, true]) {
                const message = external({ to: someAddress("to"), init: deploy ? init : undefined, body });
                cases.push(
                    describe(
                        `external-in-${i}-${forceRef}-${deploy}`,
                        cellOf(storeMessage(message, { forceRef })),
                    ),
                );
                const inside = {
                    info: {
                        type: "internal",
                        ihrDisabled: true,
                        bounce: i % 2 === 0,
                        bounced: i === 3,
                        src: someAddress("from", -1),
                        dest: someAddress("to"),
                        value: { coins: BigInt(i) * 10n ** 17n },
                        ihrFee: 0n,
                        forwardFee: 266669n + BigInt(i),
                        createdLt: 77777n * BigInt(i),
                        createdAt: 1795000000,
                    },
                    init: deploy ? init : undefined,
                    body,
                };
                cases.push(
                    describe(
                        `internal-${i}-${forceRef}-${deploy}`,
                        cellOf(storeMessage(inside, { forceRef })),
                    ),
                );
            }
        const out = {
            info: {
                type: "external-out",
                src: someAddress("from"),
                dest: null,
                createdLt: 12345n,
                createdAt: 1795000001,
            },
            body,
        };
        cases.push(describe(`external-out-${i}`, cellOf(storeMessage(out))));
    });
    const refuse = (id, cell) => cases.push({ id, boc: boc(cell), expect: "refuse" });
    const header = (builder) => builder.storeUint(2, 2).storeUint(0, 2);
    refuse("empty", Cell.EMPTY);
    refuse(
        "external-without-destination",
        header(beginCell()).storeUint(0, 2).storeCoins(0).storeUint(0, 2).endCell(),
    );
    refuse(
        "anycast",
        header(beginCell())
            .storeUint(0b101, 3)
            .storeUint(1, 5)
            .storeUint(1, 1)
            .storeInt(0, 8)
            .storeBuffer(Buffer.alloc(32))
            .storeCoins(0)
            .storeUint(0, 2)
            .endCell(),
    );
    refuse(
        "coins-with-leading-zero",
        header(beginCell())
            .storeAddress(someAddress("to"))
            .storeUint(2, 4)
            .storeUint(5, 16)
            .storeUint(0, 2)
            .endCell(),
    );
    refuse(
        "coins-beyond-any-supply",
        header(beginCell())
            .storeAddress(someAddress("to"))
            .storeUint(15, 4)
            .storeBuffer(Buffer.alloc(15, 255))
            .storeUint(0, 2)
            .endCell(),
    );
    refuse(
        "body-reference-missing",
        header(beginCell()).storeAddress(someAddress("to")).storeCoins(0).storeUint(1, 2).endCell(),
    );
    refuse(
        "bits-after-body-reference",
        header(beginCell())
            .storeAddress(someAddress("to"))
            .storeCoins(0)
            .storeUint(1, 2)
            .storeRef(Cell.EMPTY)
            .storeUint(0, 1)
            .endCell(),
    );
    refuse(
        "state-with-rest",
        header(beginCell())
            .storeAddress(someAddress("to"))
            .storeCoins(0)
            .storeUint(3, 2)
            .storeRef(beginCell().storeUint(0, 6).endCell())
            .storeUint(0, 1)
            .endCell(),
    );
    refuse(
        "internal-without-source",
        cellOf(storeMessageRelaxed(internal({ to: someAddress("to"), value: 1n, body: Cell.EMPTY }))),
    );
    refuse(
        "too-deep",
        beginCell()
            .storeUint(2, 2)
            .storeUint(0, 2)
            .storeAddress(someAddress("to"))
            .storeCoins(0)
            .storeUint(1, 2)
            .storeRef(chain(513))
            .endCell(),
    );
    refuse("library", library(seedOf("message")));
    return cases;
}

// ---- Wallets ------------------------------------------------------------------------------------

const transfersOf = (count, deployOne = false) =>
    Array.from({ length: count }, (_, i) => ({
        to: someAddress("payee" + i),
        value: BigInt(1_000_000 * (i + 1)),
        bounce: i % 3 === 0,
        comment: i % 2 === 0 ? `pay_${i + 1}` : null,
        init:
            deployOne && i === 0
                ? ton.WalletContractV3R2.create({ workchain: 0, publicKey: keyOf("other").publicKey }).init
                : null,
    }));
const toMessage = (transfer) =>
    internal({
        to: transfer.to,
        value: transfer.value,
        bounce: transfer.bounce,
        init: transfer.init ?? undefined,
        body: transfer.comment === null ? undefined : transfer.comment,
    });
const toJson = (transfer) => ({
    to: transfer.to.toRawString(),
    value: transfer.value.toString(),
    bounce: transfer.bounce,
    comment: transfer.comment,
    init: transfer.init ? boc(cellOf(storeStateInit(transfer.init))) : null,
    message_hash: hex(cellOf(storeMessageRelaxed(toMessage(transfer))).hash()),
});

function walletCases() {
    const cases = [];
    const kinds = { v3r2: ton.WalletContractV3R2, v4r2: ton.WalletContractV4, v5r1: ton.WalletContractV5R1 };
    for (const kind of Object.keys(kinds))
        for (const [name, network] of [
            ["alice", -239],
            ["bob", -3],
        ]) {
            const key = keyOf(name);
            const options = kind === "v5r1" ? { walletId: { networkGlobalId: network } } : {};
            const wallet = kinds[kind].create({ workchain: 0, publicKey: key.publicKey, ...options });
            const id = kind === "v5r1" ? (network ^ 0x80000000) >>> 0 : 698983191;
            for (const [sequence, count] of [
                [0, 1],
                [7, 4],
                ...(kind === "v5r1" && network === -239 ? [[9, 30]] : []),
            ]) {
                const transfers = transfersOf(count, sequence === 7);
                const body = wallet.createTransfer({
                    seqno: sequence,
                    secretKey: key.secretKey,
                    timeout: 1795000600,
                    sendMode: 3,
                    messages: transfers.map(toMessage),
                });
                const message = cellOf(
                    storeMessage(
                        external({
                            to: wallet.address,
                            init: sequence === 0 ? wallet.init : undefined,
                            body,
                        }),
                    ),
                );
                cases.push({
                    id: `${kind}-${name}-${network}-${sequence}`,
                    kind,
                    network,
                    seed: hex(seedOf(name)),
                    public_key: hex(key.publicKey),
                    wallet_id: id,
                    address: wallet.address.toRawString(),
                    code_hash: hex(wallet.init.code.hash()),
                    state_init: boc(cellOf(storeStateInit(wallet.init))),
                    sequence,
                    valid_until: 1795000600,
                    mode: 3,
                    transfers: transfers.map(toJson),
                    body_hash: hex(body.hash()),
                    external: boc(message),
                    external_hash: hex(message.hash()),
                    normalised_hash: hex(normalised(loadMessage(message.beginParse()))),
                });
            }
        }
    return cases;
}

function highloadCases() {
    const cases = [
        {
            id: "code",
            code_boc: highloadCode.toBoc().toString("base64"),
            code_hash: hex(highloadCode.hash()),
        },
    ];
    const key = keyOf("highload");
    for (const [number, count, deploy, timeout] of [
        [0, 1, true, 3600],
        [1, 10, false, 3600],
        [1022, 3, false, 3600],
        [1023, 3, true, 86400],
        [8380415, 2, false, 4194303],
        [5000, 12, false, 3600],
    ]) {
        const init = highloadInit(key.publicKey, 0x10ad, timeout);
        const transfers = transfersOf(count, count === 3);
        const queryId = (BigInt(Math.floor(number / 1023)) << 10n) | BigInt(number % 1023);
        const createdAt = 1795000000 + number;
        const message = highloadExternal({
            key,
            init,
            subwallet: 0x10ad,
            timeout,
            queryId,
            createdAt,
            deploy,
            ownValue: 50000000n,
            actions: transfers.map((transfer) => ({ type: "sendMsg", mode: 3, outMsg: toMessage(transfer) })),
        });
        cases.push({
            id: `batch-${number}-${count}`,
            seed: hex(seedOf("highload")),
            subwallet: 0x10ad,
            timeout,
            number,
            query_id: queryId.toString(),
            created_at: createdAt,
            deploy,
            own_value: "50000000",
            mode: 3,
            address: core.contractAddress(0, init).toRawString(),
            transfers: transfers.map(toJson),
            external: boc(message),
            external_hash: hex(message.hash()),
            normalised_hash: hex(normalised(loadMessage(message.beginParse()))),
        });
    }
    return cases;
}

async function mnemonicCases() {
    const cases = [];
    for (let i = 0; i < 4; i += 1) {
        // A list that the chain's check takes, found from a fixed start.
        const wordlist = (await import("./node_modules/@ton/crypto/dist/mnemonic/wordlist.js")).default
            .wordlist;
        let words;
        for (let attempt = 0; ; attempt += 1) {
            words = Array.from({ length: 24 }, () => wordlist[random(2048)]);
            if (await crypto.mnemonicValidate(words)) break;
        }
        const key = await crypto.mnemonicToPrivateKey(words);
        const text =
            i === 1 ? words.join("  ").toUpperCase() : i === 2 ? words.join("\n") + "\n" : words.join(" ");
        cases.push({
            id: `good-${i}`,
            words: text,
            public_key: hex(key.publicKey),
            seed: hex(key.secretKey.subarray(0, 32)),
        });
        if (i === 0) {
            cases.push({ id: "23-words", words: words.slice(1).join(" "), expect: "refuse" });
            cases.push({ id: "25-words", words: words.concat("zoo").join(" "), expect: "refuse" });
            const swapped = [words[1], words[0], ...words.slice(2)];
            if (!(await crypto.mnemonicValidate(swapped)))
                cases.push({ id: "swapped", words: swapped.join(" "), expect: "refuse" });
            cases.push({ id: "a-digit", words: words.join(" ").replace(/^./, "1"), expect: "refuse" });
        }
    }
    cases.push({ id: "empty", words: "", expect: "refuse" });
    cases.push({
        id: "bip39",
        words: "abandon ".repeat(23) + "art",
        expect: (await crypto.mnemonicValidate(("abandon ".repeat(23) + "art").split(" "))) ? "ok" : "refuse",
    });
    return cases;
}

// ---- Jettons and proofs -------------------------------------------------------------------------

function jettonCases() {
    const cases = [];
    for (const [amount, payload, response] of [
        [0n, null, true],
        [1n, null, false],
        [123456789n, "pay_7", true],
        [(1n << 64n) - 1n, "x".repeat(200), true],
    ]) {
        const body = beginCell()
            .storeUint(0x0f8a7ea5, 32)
            .storeUint(42n + (amount % 1000n), 64)
            .storeVarUint(amount, 4)
            .storeAddress(someAddress("owner"))
            .storeAddress(response ? someAddress("back") : null)
            .storeBit(false)
            .storeCoins(1n)
            .storeMaybeRef(payload === null ? null : comment(payload))
            .endCell();
        cases.push({
            id: `transfer-${amount}`,
            kind: "transfer",
            query_id: (42n + (amount % 1000n)).toString(),
            amount: amount.toString(),
            to: someAddress("owner").toRawString(),
            response: response ? someAddress("back").toRawString() : null,
            forward_value: "1",
            comment: payload,
            body: boc(body),
            hash: hex(body.hash()),
        });
        for (const inline of [true, false]) {
            const forward = payload === null ? Cell.EMPTY : comment(payload.slice(0, 20));
            const notification = beginCell()
                .storeUint(0x7362d09c, 32)
                .storeUint(9, 64)
                .storeVarUint(amount, 4)
                .storeAddress(someAddress("sender"))
                .storeBit(!inline);
            if (inline) notification.storeSlice(forward.beginParse());
            else notification.storeRef(forward);
            const cell = notification.endCell();
            cases.push({
                id: `notification-${amount}-${inline}`,
                kind: "notification",
                query_id: "9",
                amount: amount.toString(),
                sender: someAddress("sender").toRawString(),
                payload_hash: hex(forward.hash()),
                body: boc(cell),
            });
        }
    }
    const refuse = (id, kind, cell) => cases.push({ id, kind, body: boc(cell), expect: "refuse" });
    cases.push({
        id: "excesses",
        kind: "excesses",
        query_id: "77",
        body: boc(beginCell().storeUint(0xd53276db, 32).storeUint(77, 64).endCell()),
    });
    refuse("excesses-cut", "excesses", beginCell().storeUint(0xd53276db, 32).storeUint(77, 63).endCell());
    refuse(
        "excesses-with-rest",
        "excesses",
        beginCell().storeUint(0xd53276db, 32).storeUint(77, 65).endCell(),
    );
    refuse(
        "notification-opcode",
        "notification",
        beginCell()
            .storeUint(0x7362d09d, 32)
            .storeUint(9, 64)
            .storeVarUint(1, 4)
            .storeAddress(someAddress("sender"))
            .storeBit(false)
            .endCell(),
    );
    refuse(
        "notification-too-large",
        "notification",
        beginCell()
            .storeUint(0x7362d09c, 32)
            .storeUint(9, 64)
            .storeVarUint(1n << 64n, 4)
            .storeAddress(someAddress("sender"))
            .storeBit(false)
            .endCell(),
    );
    refuse(
        "notification-rest-behind-reference",
        "notification",
        beginCell()
            .storeUint(0x7362d09c, 32)
            .storeUint(9, 64)
            .storeVarUint(1, 4)
            .storeAddress(someAddress("sender"))
            .storeBit(true)
            .storeRef(Cell.EMPTY)
            .storeUint(0, 1)
            .endCell(),
    );
    return cases;
}

function proofCases() {
    const cases = [];
    const now = 1795000000;
    const kinds = {
        v3r1: ton.WalletContractV3R1,
        v3r2: ton.WalletContractV3R2,
        v4r2: ton.WalletContractV4,
        v5r1: ton.WalletContractV5R1,
    };
    const make = (id, change = {}) => {
        const key = keyOf(change.name ?? "prover");
        const wallet = (change.wallet ?? kinds[change.kind ?? "v4r2"]).create({
            workchain: change.workchain ?? 0,
            publicKey: key.publicKey,
        });
        const domain = change.domain ?? "market.example";
        const timestamp = change.timestamp ?? now;
        const payload = change.payload ?? "issued-payload";
        const little = (value, bytes) => {
            const out = Buffer.alloc(bytes);
            bytes === 8 ? out.writeBigUInt64LE(BigInt(value)) : out.writeUInt32LE(value);
            return out;
        };
        const workchain = Buffer.alloc(4);
        workchain.writeInt32BE(wallet.address.workChain);
        const message = Buffer.concat([
            Buffer.from("ton-proof-item-v2/"),
            workchain,
            wallet.address.hash,
            little(Buffer.byteLength(domain), 4),
            Buffer.from(domain),
            little(timestamp, 8),
            Buffer.from(payload),
        ]);
        const hash = createHash("sha256")
            .update(
                Buffer.concat([
                    Buffer.from([0xff, 0xff]),
                    Buffer.from("ton-connect"),
                    createHash("sha256").update(message).digest(),
                ]),
            )
            .digest();
        const init = change.init ?? wallet.init;
        cases.push({
            id,
            expect: change.expect ?? "ok",
            policy: {
                domain: "market.example",
                network: -239,
                now,
                payload: "issued-payload",
                ...change.policy,
            },
            proof: {
                address: change.address ?? wallet.address.toRawString(),
                network: String(change.network ?? -239),
                public_key: hex((change.claims ? keyOf(change.claims) : key).publicKey),
                state_init: boc(cellOf(storeStateInit(init))),
                domain: { value: domain, length_bytes: change.length ?? Buffer.byteLength(domain) },
                timestamp: change.claimed_timestamp ?? timestamp,
                payload: change.claimed_payload ?? payload,
                signature: (
                    change.signature ??
                    crypto.sign(hash, (change.signer ? keyOf(change.signer) : key).secretKey)
                ).toString("base64"),
            },
        });
    };
    const bad = (id, change) => make(id, { expect: "refuse", ...change });
    for (const kind of Object.keys(kinds)) make(kind, { kind });
    make("14-minutes-old", { timestamp: now - 14 * 60 });
    make("30-seconds-ahead", { timestamp: now + 30 });
    make("unicode-domain", { domain: "märkt.example", policy: { domain: "märkt.example" } });
    bad("16-minutes-old", { timestamp: now - 16 * 60 });
    bad("2-minutes-ahead", { timestamp: now + 120 });
    bad("far-future", { timestamp: "9223372036854775807", claimed_timestamp: "9223372036854775807" });
    bad("other-domain", { domain: "evil.example" });
    bad("sub-domain", { domain: "x.market.example" });
    bad("wrong-domain-length", { length: 13 });
    bad("other-network", { network: -3 });
    bad("other-payload", { payload: "another" });
    bad("payload-changed-after-signing", { payload: "another", claimed_payload: "issued-payload" });
    bad("timestamp-changed-after-signing", { timestamp: now - 10, claimed_timestamp: now - 5 });
    bad("other-address", { address: someAddress("elsewhere").toRawString() });
    bad("friendly-address", {
        address: ton.WalletContractV4.create({
            workchain: 0,
            publicKey: keyOf("prover").publicKey,
        }).address.toString(),
    });
    bad("masterchain", { workchain: -1 });
    bad("other-key-claimed", { claims: "thief" });
    bad("signed-by-another", { signer: "thief" });
    bad("zero-signature", { signature: Buffer.alloc(64) });
    const stolen = ton.WalletContractV4.create({ workchain: 0, publicKey: keyOf("thief").publicKey }).init;
    bad("state-of-another", { init: stolen });
    bad("unknown-code", { wallet: ton.WalletContractV1R1 });
    return cases;
}

function feeCases() {
    const old = { lump: 400000n, bit: 26214400n, cell: 2621440000n },
        present = { lump: 66667n, bit: 4369067n, cell: 436906667n };
    const cases = [];
    const param25 = (prices) =>
        beginCell()
            .storeUint(0xea, 8)
            .storeUint(prices.lump, 64)
            .storeUint(prices.bit, 64)
            .storeUint(prices.cell, 64)
            .storeUint(98304, 32)
            .storeUint(21845, 16)
            .storeUint(21845, 16)
            .endCell();
    const param21 = (price, flat) =>
        beginCell()
            .storeUint(0xd1, 8)
            .storeUint(100, 64)
            .storeUint(flat, 64)
            .storeUint(0xde, 8)
            .storeUint(price, 64)
            .storeUint(1000000, 64)
            .storeUint(1000000, 64)
            .storeUint(10000, 64)
            .storeUint(10000000, 64)
            .storeUint(100000000, 64)
            .storeUint(1000000000, 64)
            .endCell();
    const up = (value) => (value + 0xffffn) >> 16n;
    for (const [name, prices] of [
        ["old", old],
        ["present", present],
    ])
        for (const [cells, bits] of [
            [0n, 0n],
            [1n, 1n],
            [1n, 272n],
            [3n, 1500n],
            [8192n, 2097152n],
        ]) {
            const fee = prices.lump + up(prices.bit * bits + prices.cell * cells);
            cases.push({
                id: `forward-${name}-${cells}-${bits}`,
                kind: "forward",
                parameter: boc(param25(prices)),
                cells: Number(cells),
                bits: Number(bits),
                fee: fee.toString(),
                first_part: ((fee * 21845n) >> 16n).toString(),
            });
        }
    for (const [name, price, flat] of [
        ["old", 26214400n, 40000n],
        ["present", 4369067n, 6667n],
    ])
        for (const gas of [0n, 99n, 100n, 101n, 1756n, 6200n, 1000000n])
            cases.push({
                id: `gas-${name}-${gas}`,
                kind: "gas",
                parameter: boc(param21(price, flat)),
                gas: Number(gas),
                fee: (gas <= 100n ? flat : flat + up(price * (gas - 100n))).toString(),
            });
    const periods = [
        [1000n, 1n, 500n],
        [1777500000n, 0n, 135n],
    ];
    const dictionary = Dictionary.empty(Dictionary.Keys.Uint(32), {
        serialize: (value, builder) => builder.storeSlice(value.beginParse()),
        parse: () => null,
    });
    periods.forEach(([since, bit, cell]) =>
        dictionary.set(
            Number(since),
            beginCell()
                .storeUint(0xcc, 8)
                .storeUint(since, 32)
                .storeUint(bit, 64)
                .storeUint(cell, 64)
                .storeUint(1000, 64)
                .storeUint(500000, 64)
                .endCell(),
        ),
    );
    const parameter = boc(beginCell().storeDictDirect(dictionary).endCell());
    for (const [from, until] of [
        [0n, 1800000000n],
        [500n, 2000n],
        [1777000000n, 1777499999n],
        [1777000000n, 1778000000n],
        [1790000000n, 1795000000n],
        [1795000000n, 1795000000n],
    ]) {
        let total = 0n;
        periods.forEach(([since, bit, cell], i) => {
            const start = from > since ? from : since,
                end = i + 1 < periods.length && periods[i + 1][0] < until ? periods[i + 1][0] : until;
            if (end > start) total += (bit * 5000n + cell * 22n) * (end - start);
        });
        cases.push({
            id: `storage-${from}-${until}`,
            kind: "storage",
            parameter,
            cells: 22,
            bits: 5000,
            last_paid: Number(from),
            now: Number(until),
            fee: from === 0n ? "0" : up(total).toString(),
        });
    }
    return cases;
}

function voucherCases() {
    const cases = [];
    const key = keyOf("vouchers");
    const amounts = [0n, 1n, 255n, 256n, 5_000_000_000n, (1n << 63n) - 1n];
    amounts.forEach((amount, i) => {
        for (const network of [-239, -3, 20261122]) {
            const voucher = beginCell()
                .storeUint(0x56434831, 32)
                .storeInt(network, 32)
                .storeAddress(someAddress("channel"))
                .storeCoins(amount)
                .storeUint(i, 64)
                .endCell();
            const statement = beginCell()
                .storeUint(0x56434832, 32)
                .storeInt(network, 32)
                .storeAddress(someAddress("vault"))
                .storeAddress(someAddress("provider"))
                .storeCoins(amount)
                .storeUint(i, 64)
                .endCell();
            const shared = {
                network,
                amount: amount.toString(),
                sequence: i,
                public_key: hex(key.publicKey),
            };
            cases.push({
                id: `voucher-${network}-${i}`,
                kind: "voucher",
                ...shared,
                channel: someAddress("channel").toRawString(),
                boc: boc(voucher),
                signature: hex(crypto.sign(voucher.hash(), key.secretKey)),
            });
            cases.push({
                id: `statement-${network}-${i}`,
                kind: "statement",
                ...shared,
                vault: someAddress("vault").toRawString(),
                provider: someAddress("provider").toRawString(),
                boc: boc(statement),
                signature: hex(crypto.sign(statement.hash(), key.secretKey)),
            });
        }
    });
    const cut = beginCell().storeUint(0x56434831, 32).storeInt(-239, 32).storeAddress(someAddress("channel"));
    const refuse = (id, builder) =>
        cases.push({ id, kind: "voucher", boc: boc(builder.endCell()), expect: "refuse" });
    refuse("voucher-cut-short", cut);
    refuse("voucher-with-rest", beginCell().storeBuilder(cut).storeCoins(1n).storeUint(1, 65));
    refuse(
        "voucher-of-another-kind",
        beginCell()
            .storeUint(0x56434832, 32)
            .storeInt(-239, 32)
            .storeAddress(someAddress("channel"))
            .storeCoins(1n)
            .storeUint(1, 64),
    );
    return cases;
}

save("vouchers.json", "Vouchers and statements, and their signatures", voucherCases());
save("cells.json", "Trees of cells as bags: hash, depth and level of the root", cellCases());
save(
    "malformed.json",
    "Bags that the reference node refuses, and some it would let pass",
    malformedBags(random),
);
save("addresses.json", "Addresses in every spelling, and what is none", addressCases());
save("comments.json", "Text comments; text null: the body holds none", commentCases());
save("dictionaries.json", "Dictionaries with unsigned keys", dictionaryCases());
save("messages.json", "Messages and their fields", messageCases());
save("wallets.json", "Wallet addresses and signed transfers", walletCases());
save("highload_v3.json", "Highload wallet v3: signed batches", highloadCases());
save("mnemonics.json", "24 words and the key they stand for", await mnemonicCases());
save("jettons.json", "Bodies of jetton messages", jettonCases());
save("ton_proof.json", "TON Connect proofs and their verdicts", proofCases());
save("fees.json", "Fees from config parameters 18, 21 and 25", feeCases());
save(
    "transactions.json",
    "Transactions that the real virtual machine executed",
    await makeTransactions({ boc, keyOf, someAddress, seedOf }),
);
process.exit(0);
