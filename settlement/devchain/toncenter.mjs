// The shapes of toncenter's two APIs over a DevChain: v2 as lite servers answer (always as of the newest
// final block), v3 as the indexer does. Functions from parameters to results; a Refusal carries the HTTP
// status. It knows faults only as a view: which block is "now", what time it is, and which lies to tell.
import { createHash } from "node:crypto";
import core from "@ton/core";
import { NotAccepted, normalisedHash } from "./chain.mjs";
import { devGlobalId } from "./prices.mjs";

const { Address, Cell, Dictionary, beginCell, loadMessage, storeStateInit } = core;

export class Refusal extends Error {
    constructor(status, message) {
        super(message);
        this.status = status;
    }
}

const boc = (cell) => cell.toBoc({ idx: false, crc32: true }).toString("base64");
const base64 = (bytes) => Buffer.from(bytes).toString("base64");
const cellOf = (writer) => beginCell().store(writer).endCell();
const zeroHash = base64(Buffer.alloc(32));
const pageMax = 1000;

const digest = (text) => createHash("sha256").update(text).digest("base64");
const rawUpper = (address) => address.toRawString().replace(/:.*/, (hex) => hex.toUpperCase());

function addressOf(text) {
    try {
        return Address.parse(String(text ?? "").replaceAll("%3A", ":"));
    } catch {
        throw new Refusal(422, `Incorrect address: ${text}`);
    }
}

function wholeNumber(text, fallback, most = Number.MAX_SAFE_INTEGER) {
    if (text === undefined || text === null || text === "") return fallback;
    const value = Number(text);
    if (!Number.isInteger(value) || value < 0 || value > most)
        throw new Refusal(422, `not a number in range: ${text}`);
    return value;
}

function hashOf(text) {
    const hex = /^[0-9a-fA-F]{64}$/.test(text);
    return Buffer.from(hex ? text : text.replaceAll("-", "+").replaceAll("_", "/"), hex ? "hex" : "base64");
}

function commentOf(body) {
    const slice = body.beginParse();
    if (slice.remainingBits < 32 || slice.loadUint(32) !== 0 || slice.remainingBits % 8 !== 0) return null;
    try {
        return slice.loadStringTail();
    } catch {
        return null;
    }
}

const blockId = (seqno) => ({
    "@type": "ton.blockIdExt",
    workchain: -1,
    shard: "-9223372036854775808",
    seqno,
    root_hash: digest("root " + seqno),
    file_hash: digest("file " + seqno),
});

const transactionId = (lt, hash) => ({ "@type": "internal.transactionId", lt: String(lt), hash });

function stateOf(account) {
    const state = account?.account?.storage.state;
    return { uninit: "uninitialized", active: "active", frozen: "frozen" }[state?.type] ?? "uninitialized";
}

function parseMessageBoc(text) {
    let cell;
    try {
        const roots = Cell.fromBoc(Buffer.from(String(text ?? ""), "base64"));
        if (roots.length !== 1) throw new Error("not one root");
        cell = roots[0];
        loadMessage(cell.beginParse());
    } catch (error) {
        throw new Refusal(500, "LITE_SERVER_UNKNOWN: failed to parse external message: " + error.message);
    }
    return cell;
}

async function send(view, text) {
    if (!text) throw new Refusal(422, "empty boc");
    const cell = parseMessageBoc(text);
    const { faults } = view;
    try {
        if (!("drop" in faults))
            await view.chain.submit(cell, {
                copies: "duplicate" in faults ? 2 : 1,
                delayMs: faults.delay ?? 0,
            });
    } catch (error) {
        if (!(error instanceof NotAccepted)) throw error;
        throw new Refusal(
            500,
            "LITE_SERVER_UNKNOWN: cannot apply external message to current state : " +
                "External message was not accepted\nCannot run message on account: " +
                "inbound external message rejected by transaction " +
                `${cell.hash().toString("hex").toUpperCase()}:\nexitcode=${error.exitCode}, steps=1, gas_used=0\n` +
                "VM Log (truncated):\n",
        );
    }
    return { hash: base64(cell.hash()), hash_norm: base64(normalisedHash(loadMessage(cell.beginParse()))) };
}

function stackIn(entries) {
    return (entries ?? []).map((entry) => {
        const [kind, value] = Array.isArray(entry) ? entry : [entry.type, entry.value];
        if (kind === "num") return { type: "int", value: BigInt(value) };
        const cell = Cell.fromBase64(value.bytes ?? value);
        return /slice/i.test(kind) ? { type: "slice", cell } : { type: "cell", cell };
    });
}

const numberText = (value) => (value < 0n ? "-0x" + (-value).toString(16) : "0x" + value.toString(16));

// ---- v2 -----------------------------------------------------------------------------------------

function v2Message(view, cell) {
    const message = loadMessage(cell.beginParse());
    const info = message.info;
    const text = commentOf(message.body);
    const lies = "lying_fields" in view.faults;
    const value = info.type === "internal" ? info.value.coins : 0n;
    const shown = lies ? "acc_1" : text;
    return {
        "@type": "raw.message",
        hash: base64(cell.hash()),
        source: lies ? new Address(0, Buffer.alloc(32, 0x11)).toString() : (info.src?.toString() ?? ""),
        destination: info.dest?.toString() ?? "",
        value: (lies ? value * 1000n + 1n : value).toString(),
        extra_currencies: [],
        fwd_fee: (info.forwardFee ?? 0n).toString(),
        ihr_fee: (info.ihrFee ?? 0n).toString(),
        created_lt: (info.createdLt ?? 0n).toString(),
        body_hash: base64(message.body.hash()),
        msg_data:
            shown === null
                ? {
                      "@type": "msg.dataRaw",
                      body: boc(message.body),
                      init_state: message.init ? boc(cellOf(storeStateInit(message.init))) : "",
                  }
                : { "@type": "msg.dataText", text: base64(shown) },
        message: shown ?? base64(Buffer.from(message.body.bits.toString())),
    };
}

function v2Transaction(view, record, wrongHash) {
    const { transaction } = record;
    const storage = transaction.description.storagePhase?.storageFeesCollected ?? 0n;
    const hash = Buffer.from(record.hash);
    if (wrongHash) hash[0] ^= 1;
    return {
        "@type": "raw.transaction",
        address: { "@type": "accountAddress", account_address: Address.parse(record.account).toString() },
        utime: transaction.now + view.skew,
        data: record.boc,
        transaction_id: transactionId(transaction.lt, base64(hash)),
        fee: transaction.totalFees.coins.toString(),
        storage_fee: storage.toString(),
        other_fee: (transaction.totalFees.coins - storage).toString(),
        in_msg: record.inCell ? v2Message(view, record.inCell) : undefined,
        out_msgs: record.outCells.map((cell) => v2Message(view, cell)),
    };
}

function lastTransaction(view, address) {
    const newest = view.chain.transactionsAt(address, view.block)[0];
    return newest ? transactionId(newest.transaction.lt, base64(newest.hash)) : transactionId(0, zeroHash);
}

function v2Account(view, { address }) {
    const parsed = addressOf(address);
    const account = view.chain.accountAt(parsed, view.block);
    const state = account?.account?.storage.state;
    const active = state?.type === "active" ? state.state : null;
    return {
        "@type": "raw.fullAccountState",
        balance: (account?.account?.storage.balance.coins ?? 0n).toString(),
        extra_currencies: [],
        code: active?.code ? boc(active.code) : "",
        data: active?.data ? boc(active.data) : "",
        last_transaction_id: lastTransaction(view, parsed),
        block_id: blockId(view.block),
        frozen_hash: "",
        sync_utime: view.chain.timeOf(view.block) + view.skew,
        state: stateOf(account),
        suspended: false,
    };
}

function v2Transactions(view, { address, limit, lt, hash, to_lt: toLt }) {
    const most = wholeNumber(limit, 10, pageMax);
    if ((lt === undefined) !== (hash === undefined))
        throw new Refusal(422, "lt and hash should be used together");
    let records = view.chain.transactionsAt(addressOf(address), view.block);
    if (lt !== undefined) {
        const wanted = hashOf(String(hash));
        const start = records.findIndex(
            (record) => record.transaction.lt === BigInt(lt) && record.hash.equals(wanted),
        );
        if (start < 0)
            throw new Refusal(
                500,
                "LITE_SERVER_UNKNOWN: cannot locate transaction in block with specified logical time",
            );
        records = records.slice(start);
    }
    const until = BigInt(toLt ?? 0);
    records = records.filter((record) => record.transaction.lt > until).slice(0, most);
    return records.map((record, i) => v2Transaction(view, record, "wrong_hash" in view.faults && i === 0));
}

async function v2Method(view, { address, method, stack }) {
    const parsed = addressOf(address);
    let ran;
    try {
        ran = await view.chain.get(parsed, method, stackIn(stack));
    } catch (error) {
        ran = { exitCode: error.exitCode ?? -13, gasUsed: error.gasUsed ?? 0n, stack: [] };
    }
    return {
        "@type": "smc.runResult",
        gas_used: Number(ran.gasUsed),
        stack: ran.stack.map((item) =>
            item.type === "int"
                ? ["num", numberText(item.value)]
                : item.cell
                  ? ["cell", { bytes: boc(item.cell) }]
                  : ["list", { "@type": "tvm.list", elements: [] }],
        ),
        exit_code: ran.exitCode,
        block_id: blockId(view.block),
        last_transaction_id: lastTransaction(view, parsed),
    };
}

async function v2Wallet(view, { address }) {
    const account = v2Account(view, { address });
    const seqno = account.state === "active" ? await v2Method(view, { address, method: "seqno" }) : null;
    const known = seqno?.exit_code === 0 && seqno.stack.length === 1;
    return {
        wallet: known,
        balance: account.balance,
        account_state: account.state,
        ...(known ? { wallet_type: "wallet", seqno: Number(seqno.stack[0][1]) } : {}),
        last_transaction_id: account.last_transaction_id,
    };
}

function v2Config(view, { config_id: id }) {
    const parameters = Dictionary.loadDirect(
        Dictionary.Keys.Int(32),
        Dictionary.Values.Cell(),
        view.chain.machine.config,
    );
    const parameter = parameters.get(wholeNumber(id, -1));
    if (!parameter) throw new Refusal(500, "LITE_SERVER_UNKNOWN: no such configuration parameter");
    return { "@type": "configInfo", config: { "@type": "tvm.cell", bytes: boc(parameter) } };
}

export const v2 = {
    getMasterchainInfo: (view) => ({
        "@type": "blocks.masterchainInfo",
        last: blockId(view.block),
        state_root_hash: digest("state " + view.block),
        init: { ...blockId(0), root_hash: digest("root 0"), file_hash: digest("file 0") },
    }),
    getConsensusBlock: (view) => ({
        consensus_block: view.block,
        timestamp: view.chain.timeOf(view.block) + view.skew,
    }),
    getAddressInformation: v2Account,
    getWalletInformation: v2Wallet,
    getAddressBalance: (view, parameters) => v2Account(view, parameters).balance,
    getAddressState: (view, parameters) => v2Account(view, parameters).state,
    getTransactions: v2Transactions,
    runGetMethod: v2Method,
    sendBoc: async (view, { boc: text }) => {
        await send(view, text);
        return { "@type": "ok" };
    },
    sendBocReturnHash: async (view, { boc: text }) => ({
        "@type": "raw.extMessageInfo",
        ...(await send(view, text)),
    }),
    getConfigParam: v2Config,
};

// ---- v3 -----------------------------------------------------------------------------------------

const v3Block = (view, seqno) => ({
    workchain: -1,
    shard: "8000000000000000",
    seqno,
    root_hash: digest("root " + seqno),
    file_hash: digest("file " + seqno),
    global_id: devGlobalId,
    gen_utime: String(view.chain.timeOf(seqno) + view.skew),
    start_lt: String(seqno * 1_000_000),
    end_lt: String(seqno * 1_000_000 + 999_999),
});

function v3Message(view, cell) {
    const message = loadMessage(cell.beginParse());
    const info = message.info;
    const lies = "lying_fields" in view.faults;
    const slice = message.body.beginParse();
    const value = info.type === "internal" ? info.value.coins : null;
    return {
        hash: base64(cell.hash()),
        hash_norm: info.type === "external-in" ? base64(normalisedHash(message)) : base64(cell.hash()),
        source: lies
            ? rawUpper(new Address(0, Buffer.alloc(32, 0x11)))
            : info.src
              ? rawUpper(info.src)
              : null,
        destination: info.dest && info.type !== "external-out" ? rawUpper(info.dest) : null,
        value: value === null ? null : (lies ? value * 1000n + 1n : value).toString(),
        fwd_fee: info.type === "internal" ? info.forwardFee.toString() : null,
        created_lt: info.createdLt === undefined ? null : info.createdLt.toString(),
        created_at: info.createdAt === undefined ? null : String(info.createdAt),
        bounce: info.bounce ?? null,
        bounced: info.bounced ?? null,
        opcode: slice.remainingBits >= 32 ? "0x" + slice.loadUint(32).toString(16).padStart(8, "0") : null,
        message_content: {
            hash: base64(message.body.hash()),
            body: boc(message.body),
            decoded:
                commentOf(message.body) === null
                    ? null
                    : { type: "text_comment", comment: lies ? "acc_1" : commentOf(message.body) },
        },
        init_state: message.init
            ? {
                  hash: base64(cellOf(storeStateInit(message.init)).hash()),
                  body: boc(cellOf(storeStateInit(message.init))),
              }
            : null,
    };
}

function v3Transaction(view, record, wrongHash) {
    const { transaction } = record;
    const { computePhase: compute, actionPhase: action, bouncePhase: bounce } = transaction.description;
    const hash = Buffer.from(record.hash);
    if (wrongHash) hash[0] ^= 1;
    return {
        account: rawUpper(Address.parse(record.account)),
        hash: base64(hash),
        lt: transaction.lt.toString(),
        now: transaction.now + view.skew,
        mc_block_seqno: record.block,
        trace_id: base64(record.hash),
        prev_trans_hash: base64(
            Buffer.from(transaction.prevTransactionHash.toString(16).padStart(64, "0"), "hex"),
        ),
        prev_trans_lt: transaction.prevTransactionLt.toString(),
        orig_status: transaction.oldStatus === "uninitialized" ? "uninit" : transaction.oldStatus,
        end_status: transaction.endStatus === "uninitialized" ? "uninit" : transaction.endStatus,
        total_fees: transaction.totalFees.coins.toString(),
        description: {
            type: "ord",
            aborted: transaction.description.aborted,
            destroyed: transaction.description.destroyed,
            compute_ph:
                compute.type === "skipped"
                    ? { skipped: true, reason: compute.reason.replace("-", "_") }
                    : {
                          skipped: false,
                          success: compute.success,
                          exit_code: compute.exitCode,
                          gas_used: compute.gasUsed.toString(),
                          gas_fees: compute.gasFees.toString(),
                      },
            action: action
                ? {
                      success: action.success,
                      result_code: action.resultCode,
                      msgs_created: action.messagesCreated,
                      skipped_actions: action.skippedActions,
                  }
                : null,
            bounce: bounce ? { type: bounce.type } : null,
        },
        block_ref: { workchain: 0, shard: "8000000000000000", seqno: record.block },
        in_msg: record.inCell ? v3Message(view, record.inCell) : null,
        out_msgs: record.outCells.map((cell) => v3Message(view, cell)),
        emulated: false,
        finality: record.block <= view.chain.finalHeight ? "finalized" : "pending",
    };
}

const listOf = (value) => (value === undefined ? [] : [value].flat());

function v3Page(view, records, { limit, offset, sort }) {
    const ascending = sort === "asc";
    if (sort !== undefined && !["asc", "desc"].includes(sort)) throw new Refusal(422, "sort is asc or desc");
    const order = (a, b) => (a.transaction.lt < b.transaction.lt ? -1 : 1) * (ascending ? 1 : -1);
    const from = wholeNumber(offset, 0);
    const page = [...records].sort(order).slice(from, from + wholeNumber(limit, 10, pageMax));
    return {
        transactions: page.map((record, i) =>
            v3Transaction(view, record, "wrong_hash" in view.faults && i === 0),
        ),
        address_book: {},
    };
}

function v3Transactions(view, parameters) {
    const accounts = listOf(parameters.account).map((text) => addressOf(text).toRawString());
    const excluded = listOf(parameters.exclude_account).map((text) => addressOf(text).toRawString());
    const {
        hash,
        lt,
        start_lt: startLt,
        end_lt: endLt,
        start_utime: startTime,
        end_utime: endTime,
        mc_seqno: block,
    } = parameters;
    const wanted = hash === undefined ? null : hashOf(hash);
    const records = view.chain
        .allTransactions(view.block)
        .filter(
            (record) =>
                (accounts.length === 0 || accounts.includes(record.account)) &&
                !excluded.includes(record.account) &&
                (wanted === null || record.hash.equals(wanted)) &&
                (lt === undefined || record.transaction.lt === BigInt(lt)) &&
                (startLt === undefined || record.transaction.lt >= BigInt(startLt)) &&
                (endLt === undefined || record.transaction.lt <= BigInt(endLt)) &&
                (startTime === undefined || record.transaction.now >= Number(startTime)) &&
                (endTime === undefined || record.transaction.now <= Number(endTime)) &&
                (block === undefined || record.block === Number(block)),
        );
    return v3Page(view, records, parameters);
}

function v3ByMessage(view, parameters) {
    if (!parameters.msg_hash && !parameters.body_hash)
        throw new Refusal(422, "msg_hash or body_hash is required");
    const wanted = parameters.msg_hash ? hashOf(parameters.msg_hash) : null;
    const body = parameters.body_hash ? hashOf(parameters.body_hash) : null;
    const { direction } = parameters;
    const records = view.chain.allTransactions(view.block).filter((record) => {
        const isIn = wanted
            ? record.inHash?.equals(wanted) || record.inNormalised?.equals(wanted)
            : record.transaction.inMessage?.body.hash().equals(body);
        const isOut = wanted
            ? record.outHashes.some((hash) => hash.equals(wanted))
            : [...record.transaction.outMessages.values()].some((message) =>
                  message.body.hash().equals(body),
              );
        return (direction !== "out" && isIn) || (direction !== "in" && isOut);
    });
    return v3Page(view, records, parameters);
}

function v3Accounts(view, { address, include_boc: includeBoc }) {
    const addresses = listOf(address);
    if (addresses.length === 0) throw new Refusal(401, "required parameter 'address' is missing");
    const accounts = addresses.map((text) => {
        const parsed = addressOf(text);
        const account = view.chain.accountAt(parsed, view.block);
        const state = account?.account?.storage.state;
        const active = state?.type === "active" ? state.state : null;
        const last = lastTransaction(view, parsed);
        return {
            address: rawUpper(parsed),
            balance: (account?.account?.storage.balance.coins ?? 0n).toString(),
            status: state?.type ?? "nonexist",
            code_hash: active?.code ? base64(active.code.hash()) : null,
            data_hash: active?.data ? base64(active.data.hash()) : null,
            ...(includeBoc === "false"
                ? {}
                : {
                      code_boc: active?.code ? boc(active.code) : null,
                      data_boc: active?.data ? boc(active.data) : null,
                  }),
            last_transaction_hash: last.hash,
            last_transaction_lt: last.lt,
        };
    });
    return { accounts, address_book: {} };
}

async function v3Method(view, parameters) {
    const ran = await v2Method(view, parameters);
    return {
        gas_used: ran.gas_used,
        exit_code: ran.exit_code,
        stack: ran.stack.map(([kind, value]) => ({
            type: kind,
            value: kind === "cell" ? value.bytes : value,
        })),
    };
}

export const v3 = {
    masterchainInfo: (view) => ({ last: v3Block(view, view.block), first: v3Block(view, 1) }),
    transactions: v3Transactions,
    // Executed, and not final yet.
    pendingTransactions: (view, parameters) => {
        const accounts = listOf(parameters.account).map((text) => addressOf(text).toRawString());
        const records = view.chain
            .allTransactions(view.chain.height)
            .filter((record) => record.block > view.chain.finalHeight)
            .filter((record) => accounts.length === 0 || accounts.includes(record.account));
        return v3Page(view, records, parameters);
    },
    transactionsByMessage: v3ByMessage,
    accountStates: v3Accounts,
    message: async (view, { boc: text }) => {
        const { hash, hash_norm: hashNorm } = await send(view, text);
        return { message_hash: hash, message_hash_norm: hashNorm };
    },
    runGetMethod: v3Method,
};
