// The channel's contract on the real virtual machine: each path, each attack, and a random walk beside a model.
import assert from "node:assert/strict";
import { test } from "node:test";
import core from "@ton/core";
import { presentPrices } from "../devchain/prices.mjs";
import {
    World,
    addressOf,
    agreement,
    claim,
    closeTogether,
    code,
    exit,
    finishClose,
    gasOf,
    keyOf,
    makeChain,
    messageCost,
    noticeValue,
    reserve,
    sign,
    startClose,
    stateOf,
    topUp,
    voucher,
} from "./channel.mjs";
import { committedCode, compile } from "./compile.mjs";

const { beginCell, contractAddress, toNano } = core;
const coins = (text) => toNano(text);

// A message that must change nothing: refused with this exit code, its value returned.
async function refused(world, outcome, exitCode, label = "") {
    const result = await outcome();
    assert.equal(result.exitCode, exitCode, label);
    assert.equal(result.done, false, label);
    assert.equal(result.notices.length, 0, label);
    return result;
}

// The state stays, and so does the balance but for the storage that time has cost.
async function unchanged(world, work) {
    const [state, balance, storage] = [await world.state(), await world.balance(), world.storageFees];
    await work();
    assert.deepEqual(await world.state(), state);
    assert.equal(await world.balance(), balance - (world.storageFees - storage));
}

test("the committed code is what the source compiles to", async () => {
    const compiled = await compile();
    assert.equal(committedCode(), compiled.code);
    assert.equal(code.hash().toString("hex"), compiled.hash);
});

test("a deposit opens the channel; anybody may add to it; the payee hears of each", async () => {
    const world = await World.make();
    const opened = await world.open(coins("10"));
    assert.equal(opened.done, true);
    assert.deepEqual(opened.notices, [
        { stage: "open", paid: 0n, deposited: coins("10"), claimed: 0n, closeAt: 0, value: noticeValue },
    ]);
    await world.send(world.stranger, topUp(), { value: coins("3") + messageCost });
    assert.equal((await world.state()).deposited, coins("13"));
    assert.equal((await world.balance()) >= coins("13") + reserve, true);
});

test("the first deposit pays the reserve, and a message that brings too little is returned", async () => {
    const world = await World.make();
    const atLeast = messageCost + reserve;
    await refused(
        world,
        () => world.send(world.payer, topUp(), { value: atLeast, init: world.init }),
        exit.value,
    );
    // The code is there all the same, with nothing in it.
    assert.equal((await world.state()).deposited, 0n);
    assert.equal(await world.balance(), 0n);
    await world.send(world.payer, topUp(), { value: atLeast + 1n, init: world.init });
    assert.equal((await world.state()).deposited, 1n);
    for (const body of [topUp(), startClose(), finishClose()])
        await unchanged(world, () =>
            refused(world, () => world.send(world.payer, body, { value: messageCost - 1n }), exit.value),
        );
});

test("the cap holds for what lies there at one time", async () => {
    const world = await World.make({ cap: coins("5") });
    await refused(world, () => world.open(coins("5") + 1n), exit.cap);
    assert.equal((await world.open(coins("5"))).done, true);
    await unchanged(world, () =>
        refused(world, () => world.send(world.payer, topUp(), { value: messageCost + 1n }), exit.cap),
    );
    await world.claim(coins("2"));
    assert.equal((await world.send(world.payer, topUp(), { value: coins("2") + messageCost })).done, true);
    assert.equal((await world.state()).deposited, coins("7"));
});

test("claims: partial, the rest, each once, and the payee alone pays their gas", async () => {
    const world = await World.make();
    await world.open(coins("10"));
    const before = await world.balance();
    const value = coins("0.05");
    const first = await world.claim(coins("1"), coins("4"), { value });
    assert.equal(first.notices[0].paid, coins("1"));
    // All of the payment, and the change: what is missing is gas and the way back.
    const fees = value + coins("1") - first.notices[0].value;
    assert.equal(fees > 0n && fees < coins("0.001"), true);
    assert.equal(await world.balance(), before - coins("1"));
    await unchanged(world, () => refused(world, () => world.claim(coins("1"), coins("4")), exit.amount));
    await unchanged(world, () => refused(world, () => world.claim(coins("0.5"), coins("4")), exit.amount));
    await unchanged(world, () =>
        refused(world, () => world.claim(coins("4") + 1n, coins("4")), exit.amount, "over the voucher"),
    );
    assert.equal((await world.claim(coins("4"))).notices[0].paid, coins("3"));
    assert.equal((await world.claim(coins("10"))).notices[0].paid, coins("6"));
    assert.equal((await world.balance()) >= reserve, true);
});

test("a voucher over the deposit brings what is there, and the rest after a top-up", async () => {
    const world = await World.make();
    await world.open(coins("2"));
    assert.equal((await world.claim(coins("5"))).notices[0].paid, coins("2"));
    await unchanged(world, () => refused(world, () => world.claim(coins("5")), exit.amount));
    await world.send(world.payer, topUp(), { value: coins("4") + messageCost });
    assert.equal((await world.claim(coins("5"))).notices[0].paid, coins("3"));
});

test("what is not the payer's voucher for this channel claims nothing", async () => {
    const world = await World.make();
    await world.open(coins("10"));
    const amount = coins("1");
    const good = world.voucher(amount);
    const other = new World();
    Object.assign(other, world, { salt: 2n });
    const otherAddress = contractAddress(0, stateOf(other));
    const body = (signed, key = world.payerKey) => claim(amount, signed, key);
    const table = [
        ["another key", body(good, keyOf(9)), exit.signature],
        ["the payee's own key", body(good, world.payeeKey), exit.signature],
        [
            "another channel of the same payer",
            body(world.voucher(amount, { channel: otherAddress })),
            exit.foreign,
        ],
        ["the main network", body(world.voucher(amount, { network: -239 })), exit.foreign],
        ["the test network", body(world.voucher(amount, { network: -3 })), exit.foreign],
        [
            "another amount under the signature",
            claim(amount, good, world.payerKey, sign(world.voucher(amount + 1n), world.payerKey)),
            exit.signature,
        ],
        [
            "another sequence under the signature",
            claim(amount, good, world.payerKey, sign(world.voucher(amount, { sequence: 2n }), world.payerKey)),
            exit.signature,
        ],
        ["another opcode inside", body(world.voucher(amount, { tag: 0x56434832 })), 63],
        [
            "an agreement",
            body(agreement({ channel: world.address, amount, validUntil: world.chain.now + 600 })),
            63,
        ],
        [
            "a bit too many in the voucher",
            body(beginCell().storeSlice(good.beginParse()).storeBit(1).endCell()),
            9,
        ],
        [
            "a bit too many in the claim",
            beginCell().storeSlice(body(good).beginParse()).storeBit(1).endCell(),
            9,
        ],
        [
            "no voucher",
            beginCell()
                .storeUint(0x43686331, 32)
                .storeUint(7, 64)
                .storeCoins(amount)
                .storeBuffer(Buffer.alloc(64))
                .endCell(),
            9,
        ],
        ["an unknown opcode", beginCell().storeUint(0x43686332, 32).storeUint(7, 64).endCell(), exit.unknown],
        ["a comment", beginCell().storeUint(0, 32).storeStringTail("hello").endCell(), exit.unknown],
        ["nothing at all", beginCell().endCell(), exit.unknown],
    ];
    for (const [label, message, exitCode] of table)
        await unchanged(world, () => refused(world, () => world.send(world.payee, message), exitCode, label));
    for (const from of [world.payer, world.stranger])
        await unchanged(world, () => refused(world, () => world.send(from, body(good)), exit.notAllowed));
    assert.equal((await world.send(world.payee, body(good))).done, true);
});

test("a payee who is late loses nothing but time, until somebody finishes", async () => {
    const world = await World.make();
    await world.open(coins("10"));
    for (const from of [world.payee, world.stranger])
        await unchanged(world, () => refused(world, () => world.send(from, startClose()), exit.notAllowed));
    for (const from of [world.payer, world.stranger])
        await unchanged(world, () =>
            refused(world, () => world.send(from, finishClose()), exit.notAllowed, "never started"),
        );
    const started = await world.send(world.payer, startClose());
    assert.equal(started.notices[0].stage, "closing");
    const closeAt = world.chain.now + world.challenge;
    assert.equal(started.notices[0].closeAt, closeAt);
    await unchanged(world, () => refused(world, () => world.send(world.payer, startClose()), exit.stage));
    await unchanged(world, () => refused(world, () => world.send(world.payer, topUp()), exit.stage));
    assert.equal((await world.claim(coins("1"))).done, true);
    world.chain.now = closeAt - 1;
    for (const from of [world.payer, world.stranger])
        await unchanged(world, () =>
            refused(world, () => world.send(from, finishClose()), exit.notAllowed, "a second early"),
        );
    world.chain.now = closeAt;
    assert.equal((await world.claim(coins("3"))).notices[0].paid, coins("2"), "late, but not too late");
    const finished = await world.send(world.stranger, finishClose());
    assert.deepEqual(finished.notices, [
        { stage: "closed", paid: 0n, deposited: coins("10"), claimed: coins("3"), closeAt, value: noticeValue },
    ]);
    assert.equal(await world.balance(), 0n);
    assert.equal((await world.balance(world.payer)) > coins("7"), true);
    await refused(world, () => world.claim(coins("5")), exit.stage, "too late");
});

test("a payer who vanishes: the payee takes what was signed and gives back the rest", async () => {
    const world = await World.make();
    await world.open(coins("10"));
    assert.equal((await world.claim(coins("4"))).done, true);
    assert.equal((await world.send(world.payee, finishClose())).done, true);
    assert.equal((await world.state()).stage, "closed");
    assert.equal((await world.balance(world.payee)) >= coins("4"), true);
    assert.equal((await world.balance(world.payer)) > coins("6"), true);
});

test("both together close at once", async () => {
    const world = await World.make();
    await world.open(coins("10"));
    await world.claim(coins("2"), coins("8"));
    const other = contractAddress(0, stateOf({ ...world, salt: 2n }));
    const table = [
        ["the payer alone", { payeeKey: keyOf(1) }, coins("5"), exit.signature],
        ["the payee alone", { payerKey: keyOf(2) }, coins("5"), exit.signature],
        ["strangers", { payerKey: keyOf(8), payeeKey: keyOf(9) }, coins("5"), exit.signature],
        ["another channel", { channel: other }, coins("5"), exit.foreign],
        ["another network", { network: -239 }, coins("5"), exit.foreign],
        ["lapsed", { validUntil: world.chain.now - 1 }, coins("5"), exit.late],
        ["less than was claimed", {}, coins("2") - 1n, exit.amount],
        ["more than was deposited", {}, coins("10") + 1n, exit.amount],
        ["a voucher", { tag: 0x56434831 }, coins("5"), 63],
    ];
    for (const [label, changes, amount, exitCode] of table)
        await unchanged(world, () => refused(world, () => world.together(amount, changes), exitCode, label));
    const closed = await world.together(coins("5"), { validUntil: world.chain.now });
    assert.equal(closed.notices[0].paid, coins("3"));
    assert.equal(closed.notices[0].value, coins("3") + noticeValue);
    assert.equal(await world.balance(), 0n);
    assert.equal((await world.balance(world.payer)) > coins("5"), true);
    await refused(world, () => world.together(coins("5")), exit.stage, "twice");
});

test("a closed channel stays closed, deployed again or not, and keeps nothing", async () => {
    const world = await World.make();
    await world.open(coins("10"));
    await world.claim(coins("2"), coins("8"));
    await world.send(world.payee, finishClose());
    const state = await world.state();
    assert.equal(state.stage, "closed");
    await refused(world, () => world.open(coins("10")), exit.stage, "deployed again");
    await refused(world, () => world.claim(coins("8")), exit.stage, "an old voucher");
    await refused(world, () => world.send(world.payer, startClose()), exit.stage);
    // A payment that does not bounce stays: it is the payer's, who alone may fetch it.
    await world.send(world.stranger, beginCell().endCell(), { value: coins("3"), bounce: false });
    assert.equal((await world.balance()) > coins("2.9"), true);
    for (const from of [world.payee, world.stranger])
        await unchanged(world, () => refused(world, () => world.send(from, finishClose()), exit.notAllowed));
    const before = await world.balance(world.payer);
    assert.equal((await world.send(world.payer, finishClose())).done, true);
    assert.equal((await world.balance(world.payer)) - before > coins("2.9"), true);
    assert.equal(await world.balance(), 0n);
    assert.deepEqual(await world.state(), state);
    world.chain.now += 10 * 365 * 86_400; // ten years without a coin for storage
    await refused(world, () => world.open(coins("10")), exit.stage, "after ten years");
    assert.deepEqual(await world.state(), state);
});

test("a message that claims to have bounced is kept and changes nothing", async () => {
    const world = await World.make();
    await world.open(coins("10"));
    const [state, balance] = [await world.state(), await world.balance()];
    for (const body of [
        startClose(),
        beginCell()
            .storeUint(0xffffffff, 32)
            .storeSlice(
                claim(coins("1"), world.voucher(coins("1")), world.payerKey)
                    .beginParse()
                    .clone(),
            )
            .endCell(),
    ])
        assert.equal((await world.send(world.payer, body, { bounced: true })).done, true);
    assert.deepEqual(await world.state(), state);
    assert.equal((await world.balance()) > balance, true);
    await world.send(world.payee, finishClose());
    assert.equal((await world.balance(world.payer)) > coins("10") + coins("0.09"), true);
});

test("the deposits last ten years: storage is paid from the reserve", async () => {
    const world = await World.make();
    await world.open(coins("10"));
    world.chain.now += 10 * 365 * 86_400;
    assert.equal((await world.claim(coins("10"))).notices[0].paid, coins("10"));
});

test("too little gas changes nothing, and nothing is taken from the deposits for it", async () => {
    const world = await World.make();
    await world.open(coins("10"));
    const body = claim(coins("1"), world.voucher(coins("1")), world.payerKey);
    let balance = await world.balance();
    for (let value = 1n; ; value *= 2n) {
        const result = await world.send(world.payee, body, { value });
        if (result.done) break;
        assert.equal((await world.state()).claimed, 0n);
        assert.equal((await world.balance()) >= balance, true, `with ${value}`);
        balance = await world.balance();
    }
    // The payment itself can pay its way out; it never costs the channel more than what was claimed.
    assert.equal(balance - (await world.balance()) <= coins("1"), true);
});

test("each message's fees are those of the formulae, and its gas is known", async () => {
    const { gas, forward } = presentPrices;
    const up = (amount) => (amount + 65_535n) >> 16n;
    const gasFee = (used) =>
        used <= gas.flatGas ? gas.flatPrice : gas.flatPrice + up((used - gas.flatGas) * gas.price);
    const forwardFee = (cell) => {
        const seen = new Map();
        const walk = (one) =>
            one.refs.forEach((child) => seen.set(child.hash().toString("hex"), child) && walk(child));
        walk(cell);
        const bits = [...seen.values()].reduce((sum, one) => sum + BigInt(one.bits.length), 0n);
        return forward.lump + up(forward.bit * bits + forward.cell * BigInt(seen.size));
    };
    const world = await World.make();
    const together = await World.make({ salt: 2n });
    await together.open(coins("10"));
    const steps = [
        ["top_up that opens", gasOf.topUp, () => world.open(coins("10"))],
        ["top_up", gasOf.topUp, () => world.send(world.payer, topUp(), { value: coins("1") + messageCost })],
        ["claim", gasOf.claim, () => world.claim(coins("1"))],
        ["start_close", gasOf.startClose, () => world.send(world.payer, startClose())],
        ["claim while closing", gasOf.claim, () => world.claim(coins("2"))],
        ["finish_close", gasOf.finishClose, () => world.send(world.payee, finishClose())],
        ["close_together", gasOf.closeTogether, () => together.together(coins("3"))],
    ];
    for (const [name, used, step] of steps) {
        const result = await step();
        assert.equal(result.done, true, name);
        assert.equal(result.gas, used, name);
        const { computePhase, actionPhase } = result.transaction.description;
        assert.equal(computePhase.gasFees, gasFee(result.gas), name);
        const cells = result.transaction.raw.refs[0].beginParse();
        cells.loadMaybeRef();
        const sent = cells.loadDict(core.Dictionary.Keys.Uint(15), core.Dictionary.Values.Cell()).values();
        assert.equal(
            actionPhase.totalFwdFees,
            sent.map(forwardFee).reduce((sum, fee) => sum + fee, 0n),
            name,
        );
        assert.equal(computePhase.gasFees + actionPhase.totalFwdFees + noticeValue < messageCost, true, name);
    }
});

// A random walk of both parties and a stranger, honest or not, beside the plainest model of what is right.
test("a random walk keeps to the model, and every coin is accounted for", async () => {
    const seed = Number(process.env.COCOON_SEED ?? 20261123);
    let state = seed >>> 0;
    const random = (below) => {
        state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
        return Math.floor((state / 2 ** 32) * below);
    };
    const chain = await makeChain();
    for (let salt = 1n; salt <= 12n; salt += 1n) {
        const world = await World.make({
            chain,
            salt,
            challenge: 1000,
            cap: coins("20"),
            payer: addressOf(0x40 + Number(salt)),
            payee: addressOf(0x60 + Number(salt)),
        });
        const model = { stage: "open", deposited: 0n, claimed: 0n, closeAt: 0, signed: 0n, paid: 0n };
        const parties = [world.payer, world.payee, world.stranger];
        await world.open(coins("5"));
        model.deposited = coins("5");
        for (let step = 0; step < 40; step += 1) {
            const label = `seed ${seed}, channel ${salt}, step ${step}`;
            chain.now += random(400);
            const from = parties[random(3)];
            const amount = BigInt(random(3_000_000)) * 3000n;
            const [isPayer, isPayee] = [from === world.payer, from === world.payee];
            const live = model.stage !== "closed";
            let result, allowed, change;
            switch (random(6)) {
                case 0: {
                    result = await world.send(from, topUp(), { value: amount });
                    const added = amount - messageCost;
                    allowed =
                        model.stage === "open" &&
                        added > 0n &&
                        model.deposited - model.claimed + added <= world.cap;
                    change = { deposited: model.deposited + added };
                    break;
                }
                case 1:
                case 2: {
                    const covered = model.signed + amount;
                    const key = random(8) === 0 ? keyOf(9) : world.payerKey;
                    const total = random(8) === 0 ? covered + 1n : covered - BigInt(random(2)) * (amount / 2n);
                    result = await world.send(from, claim(total, world.voucher(covered), key));
                    const reached = total < model.deposited ? total : model.deposited;
                    allowed =
                        isPayee &&
                        live &&
                        key === world.payerKey &&
                        total <= covered &&
                        reached > model.claimed;
                    if (key === world.payerKey) model.signed = covered;
                    change = { claimed: reached, paid: model.paid + reached - model.claimed };
                    break;
                }
                case 3:
                    if (random(3) > 0) continue;
                    result = await world.send(from, startClose());
                    allowed = isPayer && model.stage === "open";
                    change = { stage: "closing", closeAt: chain.now + world.challenge };
                    break;
                case 4:
                    if (isPayee && random(5) > 0) continue;
                    result = await world.send(from, finishClose());
                    allowed = live
                        ? isPayee || (model.stage === "closing" && chain.now >= model.closeAt)
                        : isPayer;
                    change = { stage: "closed" };
                    break;
                default: {
                    if (random(4) > 0) continue;
                    const payeeKey = random(2) === 0 ? keyOf(9) : world.payeeKey;
                    result = await world.together(amount, { from, payeeKey });
                    allowed =
                        live &&
                        payeeKey === world.payeeKey &&
                        amount >= model.claimed &&
                        amount <= model.deposited;
                    change = { stage: "closed", claimed: amount, paid: model.paid + amount - model.claimed };
                }
            }
            assert.equal(result.done, allowed, `${label}: exit code ${result.exitCode}`);
            if (allowed) Object.assign(model, change);
            const { signed, paid, ...visible } = model;
            assert.deepEqual(await world.state(), visible, label);
            assert.equal(model.claimed, paid, label);
            assert.equal(model.claimed <= model.deposited, true, label);
            const balance = await world.balance();
            if (model.stage === "closed") assert.equal(balance, 0n, label);
            else assert.equal(balance >= model.deposited - model.claimed + reserve / 2n, true, label);
        }
    }
});
