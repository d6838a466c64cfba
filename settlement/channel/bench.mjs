// What the chain takes for each of the channel's messages, and for a thousand jobs, at the main network's present
// prices. Everything is executed; only the last table multiplies. Claims travel as the market sends them, many
// in one batch of its highload wallet.
//   node bench.mjs [--claims 50]
import { readFileSync } from "node:fs";
import { parseArgs } from "node:util";
import core from "@ton/core";
import sandbox from "@ton/sandbox";
import {
    World,
    claim,
    finishClose,
    gasOf,
    genesis,
    keyOf,
    makeChain,
    messageCost,
    sign,
    startClose,
    topUp,
} from "./channel.mjs";

const { Cell, SendMode, beginCell, contractAddress, internal, storeMessageRelaxed, storeOutList, toNano } =
    core;
const { values } = parseArgs({ options: { claims: { type: "string", default: "50" } } });
const claims = Number(values.claims);
const timeout = 3600;
const subwallet = 0x10ad;

// The market's wallet, in the code that C++ deploys.
function walletCode() {
    const header = readFileSync(new URL("../wallet_code.hpp", import.meta.url), "utf8");
    const literal = header.slice(header.indexOf("highload_v3_code")).match(/^( *"[^"]*";?\n)+/m)[0];
    return Cell.fromBase64([...literal.matchAll(/"([^"]*)"/g)].map((part) => part[1]).join(""));
}

const walletKey = keyOf(5);
const walletInit = {
    code: walletCode(),
    data: beginCell()
        .storeBuffer(walletKey.publicKey)
        .storeUint(subwallet, 32)
        .storeUint(0, 66)
        .storeUint(timeout, 22)
        .endCell(),
};
const wallet = contractAddress(0, walletInit);

// One signed message that has the wallet send all `messages`.
function batch(number, messages, deploy) {
    const actions = messages.map((outMsg) => ({
        type: "sendMsg",
        mode: SendMode.PAY_GAS_SEPARATELY | SendMode.IGNORE_ERRORS,
        outMsg,
    }));
    const body = beginCell()
        .storeUint(0xae42e5a4, 32)
        .storeUint(number, 64)
        .storeRef(beginCell().store(storeOutList(actions)))
        .endCell();
    const toItself = internal({ to: wallet, value: toNano("0.05"), bounce: true, body });
    const inner = beginCell()
        .storeUint(subwallet, 32)
        .storeRef(beginCell().store(storeMessageRelaxed(toItself)))
        .storeUint(SendMode.PAY_GAS_SEPARATELY, 8)
        .storeUint(0, 13)
        .storeUint(number, 10)
        .storeUint(genesis - 30, 64)
        .storeUint(timeout, 22)
        .endCell();
    const signed = beginCell().storeBuffer(sign(inner, walletKey)).storeRef(inner).endCell();
    return core.external({ to: wallet, init: deploy ? walletInit : undefined, body: signed });
}

const chain = await makeChain();
const balance = async (address) => (await chain.getContract(address)).balance;
const rows = [];
const row = (action, gas, cost) => rows.push({ action, gas, "nanoton, all told": cost });

// All that `work` takes from the sum of what everybody has; `brought` comes with the message.
async function cost(addresses, brought, work) {
    const sum = async () => (await Promise.all(addresses.map(balance))).reduce((total, one) => total + one, 0n);
    const before = await sum();
    const result = await work();
    return [result, before + brought - (await sum())];
}

const faucet = (to, value) =>
    chain.sendMessage(
        sandbox.internal({ from: new core.Address(0, Buffer.alloc(32, 0xfa)), to, value, bounce: false }),
    );
await faucet(wallet, toNano("100"));
await chain.sendMessage(batch(0, [internal({ to: wallet, value: 1n, bounce: false })], true));

const worlds = [];
for (let salt = 1n; salt <= BigInt(claims); salt += 1n) {
    const world = await World.make({ chain, salt, payee: wallet });
    const accounts = [world.address, world.payer, wallet];
    const value = toNano("10");
    const [opened, fee] = await cost(accounts, value, () =>
        world.send(world.payer, topUp(), { value, init: world.init }),
    );
    if (!opened.done) throw new Error("a channel did not open");
    if (salt === 1n) row("open with the first deposit", opened.gas, fee);
    worlds.push(world);
}
const [first] = worlds;
const accounts = [first.address, first.payer, wallet];
async function measure(action, from, body, value) {
    const [result, fee] = await cost(accounts, value, () => first.send(from, body, { value }));
    if (!result.done) throw new Error(action);
    row(action, result.gas, fee);
}
await measure("top up", first.payer, topUp(), toNano("1"));

// `value` travels with each claim and comes back but for its gas.
const sendClaims = (number, some, amount) =>
    chain.sendMessage(
        batch(
            number,
            some.map((world) =>
                internal({
                    to: world.address,
                    value: toNano("0.01"),
                    bounce: true,
                    body: claim(amount, world.voucher(amount), world.payerKey),
                }),
            ),
        ),
    );
const everybody = [wallet, first.payer, ...worlds.map((world) => world.address)];
const [, alone] = await cost(everybody, 0n, () => sendClaims(1, [first], toNano("1")));
row("claim, alone in a batch", gasOf.claim, alone);
const [, together] = await cost(everybody, 0n, () => sendClaims(2, worlds, toNano("2")));
for (const world of worlds)
    if ((await world.state()).claimed !== toNano("2")) throw new Error("a claim was not executed");
const each = together / BigInt(claims);
row(`claim, one of ${claims} in a batch`, gasOf.claim, each);
await measure("start_close", first.payer, startClose(), messageCost * 2n);
await measure("finish_close", wallet, finishClose(), messageCost * 2n);
const [last] = worlds.slice(-1);
const [closed, fee] = await cost([last.address, last.payer, wallet], toNano("0.05"), () =>
    last.together(toNano("3")),
);
row("close_together", closed.gas, fee);
console.table(rows);

// What a payout of one among two hundred costs: settlement_test measures it.
const payout = 165_643;
const ton = (nanoton, jobs) => Number((((1000 / jobs) * nanoton) / 1e9).toPrecision(3));
console.table(
    [10, 100, 1_000, 10_000, 100_000].map((jobs) => ({
        "jobs per claim and per payout": jobs,
        "TON per 1,000 jobs, channel": ton(Number(each) + payout, jobs),
        "TON per 1,000 jobs, prepaid balance": ton(payout, jobs),
    })),
);
