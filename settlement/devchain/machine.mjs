// The real virtual machine at the main network's present prices. Made by the executor and the server.
import { readFileSync } from "node:fs";
import core from "@ton/core";
import sandbox from "@ton/sandbox";
import { withPresentPrices } from "./prices.mjs";

const { Cell, Dictionary, beginCell, loadMessage, storeMessage } = core;

// The package does not export its smallest configuration, which is a hundred times faster than the default.
function slimConfig() {
    const path = new URL("./node_modules/@ton/sandbox/dist/config/slimConfig.js", import.meta.url);
    return /slimConfig = [`"']([^`"']+)[`"']/.exec(readFileSync(path, "utf8"))[1];
}

const written = (cell) => {
    const message = loadMessage(cell.beginParse());
    return beginCell().store(storeMessage(message)).endCell().hash().toString("hex");
};

// The sandbox reads each message into fields and writes it anew, in a layout of its own, before it runs it:
// other bytes than were signed and sent, with another hash and another fee. This executor puts the very cell
// back in its place, for messages from outside (exactly()) and for those that transactions send.
class ExactExecutor {
    constructor(inner) {
        this.inner = inner;
        this.originals = new Map(); // hash of what the sandbox writes -> the cell it read
    }

    exactly(cell) {
        this.originals.set(written(cell), cell);
        return cell;
    }

    async runTransaction(args) {
        const message = this.originals.get(args.message.hash().toString("hex")) ?? args.message;
        const ran = await this.inner.runTransaction({ ...args, message });
        if (ran.result.success) this.keepOutMessages(Cell.fromBase64(ran.result.transaction));
        return ran;
    }

    keepOutMessages(transaction) {
        const messages = transaction.refs[0].beginParse();
        messages.loadMaybeRef();
        for (const cell of messages.loadDict(Dictionary.Keys.Uint(15), Dictionary.Values.Cell()).values())
            if (cell.beginParse().loadUint(1) === 0) this.exactly(cell);
    }

    forget() {
        this.originals.clear();
    }

    runTickTock(args) {
        return this.inner.runTickTock(args);
    }

    runGetMethod(args) {
        return this.inner.runGetMethod(args);
    }
}

// execute(cell) runs one message and all that follows from it. It gives the transactions, each with `raw`, the
// cell itself; a refused external message throws with its exitCode.
export async function makeMachine() {
    const executor = new ExactExecutor(await sandbox.Executor.create());
    const machine = await sandbox.Blockchain.create({
        executor,
        config: withPresentPrices(core, slimConfig()),
    });
    machine.verbosity = { print: false, blockchainLogs: false, vmLogs: "none", debugLogs: false };
    machine.execute = async (cell) => {
        executor.forget();
        const { transactions } = await machine.sendMessage(executor.exactly(cell));
        machine.transactions.length = 0; // the sandbox keeps all for ever; history is the caller's
        return transactions;
    };
    // Whether the account would take it; changes nothing.
    machine.rehearse = async (cell) => {
        const message = loadMessage(cell.beginParse());
        const contract = await machine.getContract(message.info.dest);
        const snapshot = contract.snapshot();
        const lt = machine.currentLt;
        executor.forget();
        executor.exactly(cell);
        try {
            await contract.receiveMessage(message);
        } finally {
            contract.loadFrom(snapshot);
            machine.currentLt = lt;
        }
    };
    return machine;
}
