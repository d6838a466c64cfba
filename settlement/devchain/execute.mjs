// Executes a list of messages on the real virtual machine: one step a line on stdin, what happened on
// stdout. For tests that make messages and check transactions themselves, in another language.
//   now SECONDS            the chain's time, from here on
//   fund ADDRESS NANOTONS  a non-bounceable transfer out of nowhere
//   send BASE64            an external message: "accepted" and its transactions, or "refused EXIT_CODE"
//   account ADDRESS        "account BALANCE CELLS BITS LAST_PAID STATUS"
//   data ADDRESS           "data BASE64" of its contract
//   parameter NUMBER       "parameter BASE64" of the chain's configuration
// Every transaction is a line "transaction BASE64", in the order executed.
import { createInterface } from "node:readline";
import core from "@ton/core";
import { makeMachine } from "./machine.mjs";

const { Address, Cell, Dictionary } = core;
const boc = (cell) => cell.toBoc({ idx: false, crc32: true }).toString("base64");

const machine = await makeMachine();
let giver;

const steps = {
    now: ([seconds]) => {
        machine.now = Number(seconds);
    },
    fund: async ([address, amount]) => {
        giver ??= await machine.treasury("giver", { balance: 10n ** 18n });
        await giver.send({ to: Address.parse(address), value: BigInt(amount), bounce: false, sendMode: 1 });
    },
    send: async ([message]) => {
        try {
            const transactions = await machine.execute(Cell.fromBase64(message));
            console.log("accepted");
            for (const transaction of transactions) console.log("transaction " + boc(transaction.raw));
        } catch (error) {
            if (error.exitCode === undefined) throw error;
            console.log("refused " + error.exitCode);
        }
    },
    account: async ([address]) => {
        const contract = await machine.getContract(Address.parse(address));
        const { account } = contract.account;
        const used = account?.storageStats.used ?? { cells: 0n, bits: 0n };
        const status = contract.accountState?.type ?? "none";
        console.log(
            `account ${contract.balance} ${used.cells} ${used.bits} ${account?.storageStats.lastPaid ?? 0} ${status}`,
        );
    },
    data: async ([address]) => {
        const contract = await machine.getContract(Address.parse(address));
        console.log("data " + boc(contract.accountState.state.data));
    },
    parameter: ([number]) => {
        const parameters = Dictionary.loadDirect(
            Dictionary.Keys.Int(32),
            Dictionary.Values.Cell(),
            machine.config,
        );
        console.log("parameter " + boc(parameters.get(Number(number))));
    },
};

for await (const line of createInterface({ input: process.stdin })) {
    const [verb, ...rest] = line.trim().split(" ");
    await steps[verb](rest);
}
