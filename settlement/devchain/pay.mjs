// A person's wallet on the development chain: makes it, fills it from the faucet when it holds too little, and
// sends a transfer with a comment. Prints one JSON line {address, balance}. For the demo and the tests.
//   node pay.mjs --api http://127.0.0.1:18500 --key FILE                                   the address only
//   node pay.mjs --api ... --key FILE --to ADDRESS --amount NANOTONS [--comment TEXT | --link ton://transfer/...]
// A link's amount, body (bin) and state (init) count instead of the other options.
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { randomBytes } from "node:crypto";
import { parseArgs } from "node:util";
import core from "@ton/core";
import crypto from "@ton/crypto";
import ton from "@ton/ton";

const reserve = 100_000_000n; // for fees
const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

const { values } = parseArgs({
    options: Object.fromEntries(
        ["api", "key", "to", "amount", "comment", "link"].map((name) => [name, { type: "string" }]),
    ),
});

function keyOf(file) {
    if (!existsSync(file)) writeFileSync(file, randomBytes(32).toString("hex") + "\n", { mode: 0o600 });
    return crypto.keyPairFromSeed(Buffer.from(readFileSync(file, "utf8").trim(), "hex"));
}

async function until(what, check) {
    for (let i = 0; i < 300; i += 1) {
        if (await check()) return;
        await pause(200);
    }
    throw new Error("waited a minute for " + what);
}

async function post(path, body) {
    const response = await fetch(values.api + path, { method: "POST", body: JSON.stringify(body) });
    if (!response.ok) throw new Error(`${path}: ${response.status} ${await response.text()}`);
}

const key = keyOf(values.key);
const contract = ton.WalletContractV4.create({ workchain: 0, publicKey: key.publicKey });
const client = new ton.TonClient({ endpoint: values.api + "/api/v2/jsonRPC" });
const wallet = client.open(contract);
const address = contract.address.toString({ bounceable: false, testOnly: true });

const transfer = { to: values.to, amount: values.amount, body: values.comment, init: undefined };
if (values.link) {
    const link = new URL(values.link);
    const cell = (name) =>
        link.searchParams.has(name)
            ? core.Cell.fromBoc(Buffer.from(link.searchParams.get(name), "base64url"))[0]
            : undefined;
    transfer.to = link.pathname.split("/").at(-1);
    transfer.amount = link.searchParams.get("amount");
    transfer.body = cell("bin") ?? link.searchParams.get("text") ?? undefined;
    transfer.init = cell("init") && core.loadStateInit(cell("init").beginParse());
}

if (transfer.to) {
    const value = BigInt(transfer.amount);
    if ((await wallet.getBalance()) < value + reserve) {
        await post("/dev/faucet", { address, amount: String(value + 10n * reserve) });
        await until("the faucet", async () => (await wallet.getBalance()) >= value + reserve);
    }
    const seqno = await wallet.getSeqno();
    await wallet.sendTransfer({
        seqno,
        secretKey: key.secretKey,
        sendMode: core.SendMode.PAY_GAS_SEPARATELY | core.SendMode.IGNORE_ERRORS,
        messages: [
            core.internal({
                to: transfer.to,
                value,
                bounce: Boolean(values.link),
                body: transfer.body,
                init: transfer.init,
            }),
        ],
    });
    await until("the transfer", async () => (await wallet.getSeqno()) > seqno);
}
console.log(JSON.stringify({ address, balance: String(await wallet.getBalance()) }));
