// Transactions of a deposit wallet and a highload wallet, executed by the real virtual machine (npm
// @ton/sandbox) at the main network's present prices, with their fields as the TypeScript library reads
// them. `received` is what a deposit reader must make of each: nanotons that came to stay, or null.
import core from "@ton/core";
import ton from "@ton/ton";
import sandbox from "@ton/sandbox";
import { readFileSync } from "node:fs";
import { withPresentPrices } from "../../../settlement/devchain/prices.mjs";
import { highloadExternal, highloadInit } from "./highload.mjs";

const { beginCell, comment, contractAddress, external, internal, storeMessage, storeTransaction } = core;
const hex = (bytes) => Buffer.from(bytes).toString("hex");

function describe(id, transaction, received, boc) {
    const cell = beginCell().store(storeTransaction(transaction)).endCell();
    const { description } = transaction;
    const compute = description.computePhase,
        action = description.actionPhase;
    const inMessage = transaction.inMessage;
    return {
        id,
        boc: boc(transaction.raw ?? cell),
        hash: hex(transaction.hash()),
        account: transaction.address.toString(16).padStart(64, "0"),
        lt: transaction.lt.toString(),
        previous_lt: transaction.prevTransactionLt.toString(),
        previous_hash: transaction.prevTransactionHash.toString(16).padStart(64, "0"),
        now: transaction.now,
        status_before: transaction.oldStatus,
        status_after: transaction.endStatus,
        total_fees: transaction.totalFees.coins.toString(),
        in_message_hash: inMessage ? hex(beginCell().store(storeMessage(inMessage)).endCell().hash()) : null,
        in_kind: inMessage ? inMessage.info.type.replace("-", "_") : null,
        value: inMessage?.info.type === "internal" ? inMessage.info.value.coins.toString() : null,
        out_messages: [...transaction.outMessages.values()].map((message) => ({
            destination: message.info.dest.toString(),
            value: message.info.value.coins.toString(),
            forward_fee: message.info.forwardFee.toString(),
            body_hash: hex(message.body.hash()),
        })),
        storage_fees: (description.storagePhase?.storageFeesCollected ?? 0n).toString(),
        compute_skipped: compute.type === "skipped" ? compute.reason.replace("-", "_") : null,
        gas_used: compute.type === "vm" ? compute.gasUsed.toString() : null,
        gas_fees: compute.type === "vm" ? compute.gasFees.toString() : null,
        exit_code: compute.type === "vm" ? compute.exitCode : null,
        action_success: action ? action.success : null,
        forward_fees: action ? (action.totalFwdFees ?? 0n).toString() : null,
        messages_created: action ? action.messagesCreated : null,
        aborted: description.aborted,
        bounced: description.bouncePhase?.type === "ok",
        destroyed: description.destroyed,
        received: received === null ? null : received.toString(),
    };
}

export async function makeTransactions({ boc, keyOf, someAddress }) {
    const chain = await sandbox.Blockchain.create({
        config: withPresentPrices(core, sandbox.slimConfig ?? slim()),
    });
    chain.verbosity = { print: false, blockchainLogs: false, vmLogs: "none", debugLogs: false };
    chain.now = 1795000000;
    const cases = [];
    const giver = await chain.treasury("giver", { balance: 10n ** 15n });
    const take = async (id, message, pick) => {
        const { transactions } = await chain.sendMessage(message);
        for (const [i, transaction] of transactions.entries()) {
            const received = pick(transaction, i);
            if (received !== undefined) cases.push(describe(`${id}-${i}`, transaction, received, boc));
        }
        chain.now += 7;
        return transactions;
    };
    const give = (to, value, body, bounce) => giver.send({ to, value, bounce, body, sendMode: 1 });
    const collect = async (id, send, of, received) => {
        const { transactions } = await send;
        transactions
            .filter((transaction) =>
                core.Address.parseRaw(`0:${transaction.address.toString(16).padStart(64, "0")}`).equals(of),
            )
            .forEach((transaction, i) =>
                cases.push(describe(`${id}-${i}`, transaction, received(transaction), boc)),
            );
        chain.now += 7;
    };
    const value = (transaction) => transaction.inMessage.info.value.coins;

    const deposit = ton.WalletContractV4.create({ workchain: 0, publicKey: keyOf("deposit").publicKey });
    await collect(
        "uninit-nonbounce",
        give(deposit.address, 2_000_000_000n, comment("acc_42"), false),
        deposit.address,
        value,
    );
    await collect(
        "uninit-bounce",
        give(deposit.address, 1_000_000_000n, comment("acc_42"), true),
        deposit.address,
        () => null,
    );
    const payees = [someAddress("payee1"), someAddress("payee2")];
    const transfer = deposit.createTransfer({
        seqno: 0,
        secretKey: keyOf("deposit").secretKey,
        timeout: chain.now + 600,
        sendMode: 3,
        messages: [
            internal({ to: payees[0], value: 1_000_000n, bounce: false, body: "pay_1" }),
            internal({ to: payees[1], value: 100_000_000n, bounce: true, body: "pay_2" }),
        ],
    });
    await take(
        "deploy-and-send",
        external({ to: deposit.address, init: deposit.init, body: transfer }),
        (transaction) =>
            transaction.inMessage.info.type === "external-in"
                ? null
                : transaction.inMessage.info.bounced
                  ? null
                  : transaction.description.bouncePhase
                    ? null
                    : value(transaction),
    );
    await collect(
        "active-plain",
        give(deposit.address, 300_000_000n, undefined, true),
        deposit.address,
        value,
    );
    await collect(
        "active-memo",
        give(deposit.address, 5_000_000n, comment("m".repeat(300)), false),
        deposit.address,
        value,
    );
    await collect("one-nanoton", give(deposit.address, 1n, comment("x"), false), deposit.address, value);

    const key = keyOf("highload"),
        timeout = 3600,
        init = highloadInit(key.publicKey, 0x10ad, timeout);
    const wallet = contractAddress(0, init);
    await collect("fund-highload", give(wallet, 50_000_000_000n, undefined, false), wallet, value);
    for (const [number, count] of [
        [0, 1],
        [1, 5],
        [1023, 12],
    ]) {
        const message = highloadExternal({
            key,
            init,
            subwallet: 0x10ad,
            timeout,
            queryId: (BigInt(Math.floor(number / 1023)) << 10n) | BigInt(number % 1023),
            createdAt: chain.now - 30,
            deploy: number === 0,
            ownValue: 50_000_000n,
            actions: Array.from({ length: count }, (_, i) => ({
                type: "sendMsg",
                mode: 3,
                outMsg: internal({
                    to: someAddress("batch" + i),
                    value: 10_000_000n + BigInt(i),
                    bounce: false,
                    body: `pay_${i}`,
                }),
            })),
        });
        await take(`highload-${number}-${count}`, message, (transaction, i) =>
            i < 2 ? null : i === 2 ? value(transaction) : undefined,
        );
    }
    return cases;
}

// The package does not export its smallest configuration.
function slim() {
    const text = readFileSync(
        new URL("./node_modules/@ton/sandbox/dist/config/slimConfig.js", import.meta.url),
        "utf8",
    );
    return /slimConfig = [`"']([^`"']+)[`"']/.exec(text)[1];
}
