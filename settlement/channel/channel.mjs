// The channel's cells, written with other people's library: the second implementation beside C++
// (settlement/channel.cpp), for the contract's own tests and bench. And a world to try them in: the real
// virtual machine at the main network's present prices, one channel, a payer and a payee.
import core from "@ton/core";
import crypto from "@ton/crypto";
import sandbox from "@ton/sandbox";
import { committedCode } from "./compile.mjs";
import { devGlobalId, withPresentPrices } from "../devchain/prices.mjs";

const { Address, Cell, beginCell, contractAddress, toNano } = core;

export const reserve = toNano("0.02");
export const messageCost = toNano("0.005");
export const noticeValue = toNano("0.001");
export const exit = {
    notAllowed: 101,
    stage: 102,
    foreign: 103,
    signature: 104,
    amount: 105,
    cap: 106,
    value: 107,
    late: 108,
    unknown: 0xffff,
};
// What each message takes; the compiler's choice, so a new code means new numbers.
export const gasOf = {
    topUp: 5715n,
    claim: 6199n,
    startClose: 5851n,
    finishClose: 8041n,
    closeTogether: 8872n,
};
export const stages = ["open", "closing", "closed"];
export const genesis = 1_795_000_000;
export const code = Cell.fromBase64(committedCode());

export const keyOf = (byte) => crypto.keyPairFromSeed(Buffer.alloc(32, byte));
export const addressOf = (byte) => new Address(0, Buffer.alloc(32, byte));
const keyNumber = (key) => BigInt("0x" + key.publicKey.toString("hex"));
export const sign = (cell, key) => crypto.sign(cell.hash(), key.secretKey);

// The state a channel is deployed with.
export function stateOf({ payerKey, payeeKey, payer, payee, challenge, cap, salt }) {
    const terms = beginCell()
        .storeUint(keyNumber(payeeKey), 256)
        .storeAddress(payer)
        .storeUint(challenge, 32)
        .storeCoins(cap)
        .storeUint(salt, 64)
        .endCell();
    const data = beginCell()
        .storeUint(0, 2)
        .storeCoins(0)
        .storeCoins(0)
        .storeUint(0, 32)
        .storeUint(keyNumber(payerKey), 256)
        .storeAddress(payee)
        .storeRef(terms)
        .endCell();
    return { code, data };
}

export const voucher = ({ network = devGlobalId, channel, amount, sequence = 1n, tag = 0x56434831 }) =>
    beginCell()
        .storeUint(tag, 32)
        .storeInt(network, 32)
        .storeAddress(channel)
        .storeCoins(amount)
        .storeUint(sequence, 64)
        .endCell();

export const agreement = ({ network = devGlobalId, channel, amount, validUntil, tag = 0x56434833 }) =>
    beginCell()
        .storeUint(tag, 32)
        .storeInt(network, 32)
        .storeAddress(channel)
        .storeCoins(amount)
        .storeUint(validUntil, 32)
        .endCell();

const plain = (tag) => () => beginCell().storeUint(tag, 32).storeUint(7, 64).endCell();
export const topUp = plain(0x43687431);
export const startClose = plain(0x43687331);
export const finishClose = plain(0x43686631);

export const claim = (total, signed, key, by = sign(signed, key)) =>
    beginCell()
        .storeUint(0x43686331, 32)
        .storeUint(7, 64)
        .storeCoins(total)
        .storeBuffer(by)
        .storeRef(signed)
        .endCell();

export const closeTogether = (signed, payerKey, payeeKey) =>
    beginCell()
        .storeUint(0x43686731, 32)
        .storeUint(7, 64)
        .storeBuffer(sign(signed, payerKey))
        .storeRef(beginCell().storeBuffer(sign(signed, payeeKey)).storeRef(signed))
        .endCell();

export function readNotice(body) {
    const slice = body.beginParse();
    if (slice.loadUint(32) !== 0x43686e31) throw new Error("not a notice");
    slice.skip(64);
    const notice = {
        stage: stages[slice.loadUint(2)],
        paid: slice.loadCoins(),
        deposited: slice.loadCoins(),
        claimed: slice.loadCoins(),
        closeAt: slice.loadUint(32),
    };
    slice.endParse();
    return notice;
}

export async function makeChain() {
    const chain = await sandbox.Blockchain.create({ config: "slim" });
    chain.setConfig(withPresentPrices(core, chain.config.toBoc().toString("base64")));
    chain.verbosity = { print: false, blockchainLogs: false, vmLogs: "none", debugLogs: false };
    chain.now = genesis;
    return chain;
}

// One channel and its two parties, whose accounts are mere addresses: what is paid to them stays there.
export class World {
    static async make(changes = {}) {
        const world = new World();
        world.storageFees = 0n; // in all
        world.chain = changes.chain ?? (await makeChain());
        world.payerKey = keyOf(1);
        world.payeeKey = keyOf(2);
        world.payer = addressOf(0x11);
        world.payee = addressOf(0x22);
        world.stranger = addressOf(0x33);
        world.challenge = 86_400;
        world.cap = toNano("100");
        world.salt = 1n;
        Object.assign(world, changes);
        world.init = stateOf(world);
        world.address = contractAddress(0, world.init);
        return world;
    }

    // What one message leads to: its transaction at the channel, and what left.
    async send(from, body, { value = toNano("0.05"), bounce = true, init, bounced = false } = {}) {
        const message = sandbox.internal({
            from,
            to: this.address,
            value,
            bounce,
            bounced,
            body,
            stateInit: init,
        });
        const { transactions } = await this.chain.sendMessage(message);
        const transaction = transactions[0];
        const compute = transaction.description.computePhase;
        this.storageFees += transaction.description.storagePhase?.storageFeesCollected ?? 0n;
        return {
            transaction,
            transactions,
            exitCode: compute.type === "vm" ? compute.exitCode : compute.reason,
            gas: compute.type === "vm" ? compute.gasUsed : 0n,
            done: compute.type === "vm" && compute.success && transaction.description.actionPhase.success,
            sent: transaction.outMessages.values(),
            notices: transaction.outMessages
                .values()
                .filter((sent) => !sent.info.bounced && sent.info.dest.equals(this.payee))
                .map((sent) => ({ ...readNotice(sent.body), value: sent.info.value.coins })),
        };
    }

    open(deposit = toNano("10"), options = {}) {
        const value = deposit + messageCost + reserve;
        return this.send(this.payer, topUp(), { value, init: this.init, ...options });
    }

    voucher(amount, changes = {}) {
        return voucher({ channel: this.address, amount, ...changes });
    }

    claim(total, amount = total, options = {}) {
        return this.send(this.payee, claim(total, this.voucher(amount), this.payerKey), options);
    }

    together(amount, changes = {}) {
        const terms = { channel: this.address, amount, validUntil: this.chain.now + 600, ...changes };
        const { payerKey = this.payerKey, payeeKey = this.payeeKey } = changes;
        return this.send(changes.from ?? this.stranger, closeTogether(agreement(terms), payerKey, payeeKey));
    }

    async balance(address = this.address) {
        return (await this.chain.getContract(address)).balance;
    }

    async state() {
        const { stackReader: stack } = await this.chain.runGetMethod(this.address, "channelState");
        const stage = stages[stack.readNumber()];
        const [deposited, claimed] = [stack.readBigNumber(), stack.readBigNumber()];
        return { stage, deposited, claimed, closeAt: stack.readNumber() };
    }
}
