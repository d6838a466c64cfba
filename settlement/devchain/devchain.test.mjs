// The development chain as its clients see it: the stock TypeScript client drives it, every fault strikes,
// and a restart forgets nothing. Blocks tick by hand, so nothing here waits for a clock.
import assert from "node:assert/strict";
import { appendFileSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import core from "@ton/core";
import crypto from "@ton/crypto";
import ton from "@ton/ton";
import { DevChain } from "./chain.mjs";
import { Provider } from "./server.mjs";

const { Cell, beginCell, comment, external, internal, storeMessage } = core;
const directory = mkdtempSync(join(tmpdir(), "devchain-"));
const journal = join(directory, "journal");
const time = { now: 1_795_000_000_000 };
const clock = () => time.now;
const key = crypto.keyPairFromSeed(Buffer.alloc(32, 7));
const wallet = ton.WalletContractV4.create({ workchain: 0, publicKey: key.publicKey });
const payee = new core.Address(0, Buffer.alloc(32, 0x55));

let chain, first, second, port, otherPort;

async function start() {
    chain = await DevChain.open({ journal, blockMs: 0, clock });
    first = new Provider(chain, 1);
    second = new Provider(chain, 2);
    port = await first.listen(0);
    otherPort = await second.listen(0);
}

async function stop() {
    await first.close();
    await second.close();
    await chain.close();
}

async function blocks(count) {
    for (let i = 0; i < count; i += 1) {
        time.now += 400;
        await chain.tick();
    }
}

async function call(path, body, at = port) {
    const post = body === undefined ? {} : { method: "POST", body: JSON.stringify(body) };
    const response = await fetch(`http://127.0.0.1:${at}${path}`, post);
    return { status: response.status, body: await response.json() };
}

const result = async (path, body, at) => {
    const answer = await call(path, body, at);
    assert.equal(answer.status, 200, JSON.stringify(answer.body));
    return answer.body.result ?? answer.body;
};

const fault = (rules) => call("/dev/faults", { rules, seed: 5 });
const fund = (address, amount, text) =>
    result("/dev/faucet", { address: address.toString(), amount, comment: text });
const account = (address, at) =>
    result(`/api/v2/getAddressInformation?address=${address.toRawString()}`, undefined, at);
const history = (address, query = "") =>
    result(`/api/v2/getTransactions?address=${address.toRawString()}${query}`);

function transfer(sequence, text, to = payee) {
    const body = wallet.createTransfer({
        seqno: sequence,
        secretKey: key.secretKey,
        timeout: Math.floor(time.now / 1000) + 600,
        sendMode: 3,
        messages: [internal({ to, value: 1_000_000n, bounce: false, body: text })],
    });
    const message = external({ to: wallet.address, init: sequence === 0 ? wallet.init : undefined, body });
    return beginCell().store(storeMessage(message)).endCell();
}
const boc = (cell) => cell.toBoc().toString("base64");
const send = (message) => call("/api/v2/sendBoc", { boc: boc(message) });

before(start);
after(async () => {
    await stop();
    rmSync(directory, { recursive: true });
});

test("the stock client deploys a wallet and pays from it", async () => {
    await fund(wallet.address, "5000000000", "acc_42");
    await blocks(2);
    const client = new ton.TonClient({ endpoint: `http://127.0.0.1:${port}/api/v2/jsonRPC` });
    const opened = client.open(wallet);
    assert.equal(await opened.getBalance(), 5_000_000_000n);
    assert.equal(await opened.getSeqno(), 0);
    await client.sendFile(transfer(0, "pay_1").toBoc());
    await blocks(2);
    assert.equal(await opened.getSeqno(), 1);
    assert.equal(await client.isContractDeployed(wallet.address), true);
    const [newest, oldest] = await client.getTransactions(wallet.address, { limit: 10 });
    assert.equal(newest.outMessages.size, 1);
    assert.equal(oldest.inMessage.info.value.coins, 5_000_000_000n);
    assert.equal(newest.prevTransactionLt, oldest.lt);
    assert.equal((await client.getContractState(payee)).balance, 1_000_000n);
});

test("a replayed message is refused with the contract's exit code", async () => {
    const answer = await send(transfer(0, "pay_1"));
    assert.equal(answer.status, 500);
    assert.match(answer.body.error, /cannot apply external message[\s\S]*exitcode=33/);
    assert.equal((await call("/api/v2/sendBoc", { boc: "" })).status, 422);
    assert.match((await call("/api/v2/sendBoc", { boc: "AAAA" })).body.error, /failed to parse/);
});

test("raw transactions hash to their ids, link, and page", async () => {
    const all = await history(wallet.address, "&limit=100");
    assert.equal(all.length, 2);
    for (const transaction of all)
        assert.equal(
            Cell.fromBase64(transaction.data).hash().toString("base64"),
            transaction.transaction_id.hash,
        );
    const { lt, hash } = all[1].transaction_id;
    const page = await history(wallet.address, `&lt=${lt}&hash=${encodeURIComponent(hash)}`);
    assert.deepEqual(
        page.map((transaction) => transaction.transaction_id.lt),
        [lt],
    );
    const newer = await history(wallet.address, `&to_lt=${lt}`);
    assert.deepEqual(
        newer.map((transaction) => transaction.transaction_id.lt),
        [all[0].transaction_id.lt],
    );
    assert.equal((await call(`/api/v2/getTransactions?address=${wallet.address}&lt=1`)).status, 422);
    assert.equal((await call("/api/v2/getTransactions?address=nonsense")).status, 422);
    assert.equal((await call("/api/v2/getNothing")).status, 404);
});

test("v3 shows the same history, by account, time and message", async () => {
    const raw = wallet.address.toRawString();
    const { transactions } = await result(`/api/v3/transactions?account=${raw}&sort=asc&limit=10`);
    assert.equal(transactions.length, 2);
    assert.equal(transactions[0].in_msg.message_content.decoded.comment, "acc_42");
    assert.equal(transactions[1].prev_trans_hash, transactions[0].hash);
    assert.equal(transactions[1].finality, "finalized");
    const next = await result(
        `/api/v3/transactions?account=${raw}&start_lt=${BigInt(transactions[0].lt) + 1n}`,
    );
    assert.equal(next.transactions.length, 1);
    const sent = await result(
        `/api/v3/transactionsByMessage?direction=in&msg_hash=${encodeURIComponent(transactions[1].in_msg.hash_norm)}`,
    );
    assert.equal(sent.transactions[0].hash, transactions[1].hash);
    const states = await result(`/api/v3/accountStates?address=${raw}&address=${payee.toRawString()}`);
    assert.deepEqual(
        states.accounts.map((state) => state.status),
        ["active", "uninit"],
    );
    assert.equal((await call("/api/v3/accountStates")).status, 401);
});

test("a transaction is pending for one block, and only then final", async () => {
    const before = (await history(wallet.address, "&limit=100")).length;
    await fund(wallet.address, "1000000", "later");
    await blocks(1);
    assert.equal((await history(wallet.address, "&limit=100")).length, before);
    const pending = await result("/api/v3/pendingTransactions");
    assert.deepEqual(
        pending.transactions.map((transaction) => transaction.finality),
        ["pending"],
    );
    await blocks(1);
    assert.equal((await history(wallet.address, "&limit=100")).length, before + 1);
    assert.equal((await result("/api/v3/pendingTransactions")).transactions.length, 0);
});

test("every fault strikes as it says", async (context) => {
    const sequence = async () =>
        (await result(`/api/v2/getWalletInformation?address=${wallet.address}`)).seqno;
    await context.test("statuses", async () => {
        for (const value of [429, 500, 504, 542]) {
            await fault([{ method: "sendBoc", kind: "status", value, count: 1 }]);
            assert.equal((await send(transfer(1, "status"))).status, value);
        }
        await blocks(2);
        assert.equal(await sequence(), 1);
    });
    await context.test("drop", async () => {
        await fault([{ method: "sendBoc", kind: "drop", count: 1 }]);
        assert.equal((await send(transfer(1, "dropped"))).status, 200);
        await blocks(2);
        assert.equal(await sequence(), 1);
    });
    await context.test("delay", async () => {
        await fault([{ method: "sendBoc", kind: "delay", value: 5000, count: 1 }]);
        assert.equal((await send(transfer(1, "delayed"))).status, 200);
        await blocks(5);
        assert.equal(await sequence(), 1);
        await blocks(10);
        assert.equal(await sequence(), 2);
    });
    await context.test("duplicate", async () => {
        await fault([{ method: "sendBoc", kind: "duplicate", count: 1 }]);
        assert.equal((await send(transfer(2, "twice"))).status, 200);
        await blocks(3);
        assert.equal(await sequence(), 3);
    });
    await context.test("accepted, and no answer", async () => {
        await fault([{ method: "sendBoc", kind: "accept_then_timeout", count: 1 }]);
        await assert.rejects(send(transfer(3, "silent")));
        await blocks(2);
        assert.equal(await sequence(), 4);
    });
    await context.test("stale, on one provider only", async () => {
        await fault([{ kind: "stale", value: 50 }]);
        await fund(payee, "7000000", "fresh");
        await blocks(2);
        const old = BigInt((await account(payee)).balance);
        const present = BigInt((await account(payee, otherPort)).balance);
        assert.equal(present - old >= 7_000_000n, true);
    });
    await context.test("time skew", async () => {
        await fault([{ kind: "time_skew", value: 3600 }]);
        const skewed = (await account(payee)).sync_utime;
        assert.equal(skewed - (await account(payee, otherPort)).sync_utime, 3600);
    });
    await context.test("a wrong hash beside the right data", async () => {
        await fault([{ kind: "wrong_hash" }]);
        const [newest] = await history(payee);
        assert.notEqual(Cell.fromBase64(newest.data).hash().toString("base64"), newest.transaction_id.hash);
    });
    await context.test("lying fields beside the right data", async () => {
        await fault([{ kind: "lying_fields" }]);
        const [newest] = await history(payee);
        const real = core.loadTransaction(Cell.fromBase64(newest.data).beginParse());
        assert.notEqual(newest.in_msg.value, real.inMessage.info.value.coins.toString());
        assert.equal(real.inMessage.body.hash().equals(comment("fresh").hash()), true);
    });
    await context.test("a halt of the chain", async () => {
        await fault([]);
        await call("/dev/halt", { halted: true });
        const { height } = (await call("/dev/status")).body;
        await blocks(3);
        assert.equal((await call("/dev/status")).body.height, height);
        await call("/dev/halt", { halted: false });
        await blocks(1);
        assert.equal((await call("/dev/status")).body.height, height + 1);
    });
    await context.test("what is no rule is refused", async () => {
        for (const rule of [
            { kind: "magic" },
            { kind: "drop", probability: 2 },
            { kind: "status", value: "x" },
        ])
            assert.equal((await fault([rule])).status, 422);
    });
});

test("a restart keeps accounts, history and sequence; a torn line is left away", async () => {
    await blocks(2);
    const { balance, last_transaction_id: last } = await account(wallet.address);
    const known = await history(wallet.address, "&limit=100");
    await blocks(5); // empty ones, which no journal holds
    const shown = (await result("/api/v2/getMasterchainInfo")).last.seqno;
    await stop();
    appendFileSync(journal, '{"block":99999,"torn');
    await start();
    const restored = await account(wallet.address);
    assert.equal(restored.balance, balance);
    assert.equal(restored.block_id.seqno >= shown, true);
    assert.equal(Math.abs(restored.sync_utime - time.now / 1000) <= 2, true);
    assert.deepEqual(restored.last_transaction_id, last);
    assert.deepEqual(
        (await history(wallet.address, "&limit=100")).map((transaction) => transaction.data),
        known.map((transaction) => transaction.data),
    );
    assert.equal(readFileSync(journal, "utf8").endsWith("\n"), true);
    await send(transfer(4, "after the restart"));
    await blocks(2);
    const [newest] = await history(wallet.address);
    const read = core.loadTransaction(Cell.fromBase64(newest.data).beginParse());
    assert.equal(read.prevTransactionLt.toString(), last.lt);
    assert.equal(read.outMessages.size, 1);
});
