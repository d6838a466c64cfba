// Highload wallet v3 in TypeScript's terms, from the contract's description. The code is what npm's tonweb
// 0.0.66 (MIT) carries as a constant.
import core from "@ton/core";
import crypto from "@ton/crypto";

const { Cell, beginCell, contractAddress, internal, storeMessageRelaxed, storeOutList, storeStateInit } =
    core;

export const highloadCode = Cell.fromBoc(
    Buffer.from(
        "b5ee9c7241021001000228000114ff00f4a413f4bcf2c80b01020120020d02014803040078d020d74bc00101c060b0915be1" +
            "01d0d3030171b0915be0fa4030f828c705b39130e0d31f018210ae42e5a4ba9d8040d721d74cf82a01ed55fb04e030020120" +
            "050a02027306070011adce76a2686b85ffc00201200809001aabb6ed44d0810122d721d70b3f0018aa3bed44d08307d721d7" +
            "0b1f0201200b0c001bb9a6eed44d0810162d721d70b15800e5b8bf2eda2edfb21ab09028409b0ed44d0810120d721f404f40" +
            "4d33fd315d1058e1bf82325a15210b99f326df82305aa0015a112b992306dde923033e2923033e25230800df40f6fa19ed02" +
            "1d721d70a00955f037fdb31e09130e259800df40f6fa19cd001d721d70a00937fdb31e0915be270801f6f2d48308d718d121" +
            "f900ed44d0d3ffd31ff404f404d33fd315d1f82321a15220b98e12336df82324aa00a112b9926d32de58f82301de541675f9" +
            "10f2a106d0d31fd4d307d30cd309d33fd315d15168baf2a2515abaf2a6f8232aa15250bcf2a304f823bbf2a35304800df40f" +
            "6fa199d024d721d70a00f2649130e20e01fe5309800df40f6fa18e13d05004d718d20001f264c858cf16cf8301cf168e1030" +
            "c824cf40cf8384095005a1a514cf40e2f800c94039800df41704c8cbff13cb1ff40012f40012cb3f12cb15c9ed54f80f21d0" +
            "d30001f265d3020171b0925f03e0fa4001d70b01c000f2a5fa4031fa0031f401fa0031fa00318060d721d300010f0020f265" +
            "d2000193d431d19130e272b1fb00b585bf03",
        "hex",
    ),
)[0];

export const highloadInit = (publicKey, subwallet, timeout) => ({
    code: highloadCode,
    data: beginCell()
        .storeBuffer(publicKey)
        .storeUint(subwallet, 32)
        .storeUint(0, 66)
        .storeUint(timeout, 22)
        .endCell(),
});

export function highloadExternal({
    key,
    init,
    subwallet,
    timeout,
    queryId,
    createdAt,
    deploy,
    ownValue,
    actions,
}) {
    const address = contractAddress(0, init);
    const body = beginCell()
        .storeUint(0xae42e5a4, 32)
        .storeUint(queryId, 64)
        .storeRef(beginCell().store(storeOutList(actions)).endCell())
        .endCell();
    const message = beginCell()
        .store(storeMessageRelaxed(internal({ to: address, value: ownValue, bounce: true, body })))
        .endCell();
    const inner = beginCell()
        .storeUint(subwallet, 32)
        .storeRef(message)
        .storeUint(3, 8)
        .storeUint(queryId >> 10n, 13)
        .storeUint(queryId & 1023n, 10)
        .storeUint(createdAt, 64)
        .storeUint(timeout, 22)
        .endCell();
    const signed = beginCell()
        .storeBuffer(crypto.sign(inner.hash(), key.secretKey))
        .storeRef(inner)
        .endCell();
    const outer = beginCell().storeUint(0b10, 2).storeUint(0, 2).storeAddress(address).storeCoins(0n);
    if (deploy) outer.storeUint(0b11, 2).storeRef(beginCell().store(storeStateInit(init)).endCell());
    else outer.storeBit(false);
    return outer.storeBit(true).storeRef(signed).endCell();
}
