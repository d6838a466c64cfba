// The chain that the server shows: blocks by the clock, a pool of waiting messages, the history of every
// account at every block, and a journal that survives the process. The machine executes; nothing here
// knows HTTP. One call at a time changes the state: they queue behind each other.
import {
    appendFileSync,
    existsSync,
    fsyncSync,
    openSync,
    readFileSync,
    truncateSync,
    writeSync,
} from "node:fs";
import core from "@ton/core";
import sandbox from "@ton/sandbox";
import { makeMachine } from "./machine.mjs";

const {
    Address,
    Cell,
    Dictionary,
    beginCell,
    comment,
    loadMessage,
    loadShardAccount,
    loadTransaction,
    storeMessage,
} = core;

const boc = (cell) => cell.toBoc({ idx: false, crc32: true }).toString("base64");
const cellOf = (writer) => beginCell().store(writer).endCell();
const timesMax = 100_000; // blocks whose time is remembered
const poolMax = 10_000; // messages that may wait
export const faucetAddress = new Address(0, Buffer.alloc(32, 0xfa));

// What is refused before it reaches the pool, with the machine's reason.
export class NotAccepted extends Error {
    constructor(exitCode, reason) {
        super(reason);
        this.exitCode = exitCode;
    }
}

// TEP-467: how an external message is named, however it was packed.
export function normalisedHash(message) {
    return beginCell()
        .storeUint(0b10, 2)
        .storeUint(0, 2)
        .storeAddress(message.info.dest)
        .storeUint(0, 4)
        .storeBit(false)
        .storeBit(true)
        .storeRef(message.body)
        .endCell()
        .hash();
}

function readTransaction(cell, block) {
    const transaction = loadTransaction(cell.beginParse());
    // The messages' own cells: written anew from their fields they may have another hash.
    const messages = cell.refs[0].beginParse();
    const inCell = messages.loadMaybeRef();
    const outCells = messages.loadDict(Dictionary.Keys.Uint(15), Dictionary.Values.Cell()).values();
    return {
        transaction,
        block,
        boc: boc(cell),
        hash: cell.hash(),
        account: new Address(
            0,
            Buffer.from(transaction.address.toString(16).padStart(64, "0"), "hex"),
        ).toRawString(),
        inCell,
        outCells,
        inHash: inCell ? inCell.hash() : null,
        inNormalised:
            transaction.inMessage?.info.type === "external-in" ? normalisedHash(transaction.inMessage) : null,
        outHashes: outCells.map((message) => message.hash()),
    };
}

export class DevChain {
    // `journal`: a file, made if absent; null: nothing is kept. `blockMs`: 0 leaves blocks to tick().
    static async open({ journal = null, blockMs = 400, clock = Date.now } = {}) {
        const chain = new DevChain();
        chain.machine = await makeMachine();
        chain.clock = clock;
        chain.height = 1; // the newest block; the one before it is final
        chain.times = new Map([[1, Math.floor(clock() / 1000)]]);
        chain.accounts = new Map(); // raw address -> [{ block, boc }], ascending
        chain.transactions = new Map(); // raw address -> records, ascending by lt
        chain.pool = []; // { cell, at: milliseconds }
        chain.halted = false;
        chain.queue = Promise.resolve();
        if (journal) await chain.openJournal(journal, blockMs || 400);
        if (blockMs > 0) chain.timer = setInterval(() => chain.tick().catch(chain.fail), blockMs);
        return chain;
    }

    fail = (error) => {
        console.error("development chain:", error);
        process.exit(1); // a chain that is half executed is worse than none
    };

    close() {
        clearInterval(this.timer);
        return this.queue;
    }

    get finalHeight() {
        return Math.max(1, this.height - 1);
    }

    // Of blocks too old to be remembered, and of those a restart skipped: the oldest known.
    timeOf(block) {
        return this.times.get(block) ?? this.times.values().next().value;
    }

    alone(work) {
        const done = this.queue.then(work);
        this.queue = done.catch(() => {});
        return done;
    }

    // One block: everything that waits and is due.
    tick() {
        return this.alone(async () => {
            if (this.halted) return;
            this.height += 1;
            const now = Math.max(this.timeOf(this.height - 1), Math.floor(this.clock() / 1000));
            this.times.set(this.height, now);
            this.times.delete(this.height - timesMax);
            this.machine.now = now;
            const due = this.pool.filter((waiting) => waiting.at <= this.clock());
            this.pool = this.pool.filter((waiting) => !due.includes(waiting));
            for (const waiting of due) await this.execute(waiting.cell);
        });
    }

    // Into the pool, if the account would take the message now.
    async submit(cell, { copies = 1, delayMs = 0 } = {}) {
        const message = loadMessage(cell.beginParse());
        if (message.info.type !== "external-in") throw new NotAccepted(0, "not an external message");
        await this.alone(() => this.rehearse(cell));
        if (this.pool.length + copies > poolMax) throw new NotAccepted(0, "too many messages wait");
        for (let i = 0; i < copies; i += 1) this.pool.push({ cell, at: this.clock() + delayMs });
    }

    async rehearse(cell) {
        this.machine.now = Math.max(this.timeOf(this.height), Math.floor(this.clock() / 1000));
        try {
            await this.machine.rehearse(cell);
        } catch (error) {
            throw new NotAccepted(error.exitCode ?? 0, error.error ?? error.message);
        }
    }

    // Coins out of nowhere, in the next block.
    faucet({ address, amount, text = null, bounce = false, body = null }) {
        const content = body ?? (text === null ? Cell.EMPTY : comment(text));
        const message = sandbox.internal({
            from: faucetAddress,
            to: address,
            value: amount,
            bounce,
            body: content,
        });
        this.pool.push({ cell: cellOf(storeMessage(message)), at: 0 });
    }

    async execute(cell) {
        let executed;
        try {
            executed = await this.machine.execute(cell);
        } catch (error) {
            if (error.exitCode !== undefined || /not accepted/.test(String(error.error))) return;
            throw error;
        }
        const line = { block: this.height, time: this.machine.now, lt: "0", accounts: {}, transactions: [] };
        for (const transaction of executed) {
            line.transactions.push(boc(transaction.raw));
            const address = new Address(
                0,
                Buffer.from(transaction.address.toString(16).padStart(64, "0"), "hex"),
            );
            const contract = await this.machine.getContract(address);
            line.accounts[address.toRawString()] = boc(cellOf(core.storeShardAccount(contract.account)));
        }
        line.lt = this.machine.currentLt.toString();
        if (this.journal !== undefined) this.write(line);
        this.take(line);
    }

    take(line) {
        for (const transaction of line.transactions) {
            const record = readTransaction(Cell.fromBase64(transaction), line.block);
            if (!this.transactions.has(record.account)) this.transactions.set(record.account, []);
            this.transactions.get(record.account).push(record);
        }
        for (const [account, state] of Object.entries(line.accounts)) {
            if (!this.accounts.has(account)) this.accounts.set(account, []);
            this.accounts.get(account).push({ block: line.block, boc: state });
        }
    }

    // Its first line tells when the chain began, each further one what a message led to. A line that a crash
    // cut short was never answered for, and is left away.
    async openJournal(file, blockMs) {
        const text = existsSync(file) ? readFileSync(file, "utf8") : "";
        const whole = text.slice(0, text.lastIndexOf("\n") + 1);
        if (whole.length < text.length) truncateSync(file, Buffer.byteLength(whole));
        this.journal = openSync(file, "a");
        if (whole === "") return this.write({ genesis: this.clock() });
        const [{ genesis }, ...lines] = whole
            .trimEnd()
            .split("\n")
            .map((line) => JSON.parse(line));
        for (const line of lines) {
            this.take(line);
            this.times.set(line.block, line.time);
        }
        for (const [account, states] of this.accounts)
            await this.machine.setShardAccount(
                Address.parseRaw(account),
                loadShardAccount(Cell.fromBase64(states.at(-1).boc).beginParse()),
            );
        const last = lines.at(-1) ?? { block: 1, time: 0, lt: "0" };
        this.machine.currentLt = BigInt(last.lt);
        // Blocks without transactions are not written: by the clock, no number is ever shown twice.
        this.height = Math.max(last.block + 2, 1 + Math.floor((this.clock() - genesis) / blockMs));
        const now = Math.max(last.time, Math.floor(this.clock() / 1000));
        for (const block of [this.height - 1, this.height]) this.times.set(block, now);
    }

    write(line) {
        writeSync(this.journal, JSON.stringify(line) + "\n");
        fsyncSync(this.journal);
    }

    // ---- What readers see, as of a block ---------------------------------------------------------

    accountAt(address, block) {
        const found = (this.accounts.get(address.toRawString()) ?? [])
            .filter((state) => state.block <= block)
            .at(-1);
        return found ? loadShardAccount(Cell.fromBase64(found.boc).beginParse()) : null;
    }

    // Newest first.
    transactionsAt(address, block) {
        return (this.transactions.get(address.toRawString()) ?? [])
            .filter((record) => record.block <= block)
            .reverse();
    }

    allTransactions(block) {
        return [...this.transactions.values()].flat().filter((record) => record.block <= block);
    }

    get(address, method, stack) {
        return this.alone(() => this.machine.runGetMethod(address, method, stack));
    }
}
