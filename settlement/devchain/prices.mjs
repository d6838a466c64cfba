// The sandbox's own configuration with the main network's prices of June 2026 (parameters 18, 21, 25) and
// a network number of our own (19), so that nothing signed for this chain is valid on another. The
// library comes as an argument: this file is shared by two npm projects.

export const devGlobalId = 20261122;

export const presentPrices = {
    gas: { flatGas: 100n, flatPrice: 6667n, price: 4369067n },
    forward: { lump: 66667n, bit: 4369067n, cell: 436906667n, firstFraction: 21845 },
    storage: [
        { since: 0, bit: 1n, cell: 500n },
        { since: 1777500000, bit: 0n, cell: 135n },
    ],
};

export function withPresentPrices({ Cell, Dictionary, beginCell }, config, globalId = devGlobalId) {
    const { gas, forward, storage } = presentPrices;
    const parameters = Dictionary.loadDirect(
        Dictionary.Keys.Int(32),
        Dictionary.Values.Cell(),
        Cell.fromBase64(config),
    );
    const periods = Dictionary.empty(Dictionary.Keys.Uint(32), {
        serialize: (period, builder) =>
            builder
                .storeUint(0xcc, 8)
                .storeUint(period.since, 32)
                .storeUint(period.bit, 64)
                .storeUint(period.cell, 64)
                .storeUint(1000, 64)
                .storeUint(500000, 64),
        parse: () => null,
    });
    storage.forEach((period) => periods.set(period.since, period));
    parameters.set(18, beginCell().storeDictDirect(periods).endCell());
    parameters.set(19, beginCell().storeInt(globalId, 32).endCell());
    parameters.set(
        21,
        beginCell()
            .storeUint(0xd1, 8)
            .storeUint(gas.flatGas, 64)
            .storeUint(gas.flatPrice, 64)
            .storeUint(0xde, 8)
            .storeUint(gas.price, 64)
            .storeUint(1000000, 64)
            .storeUint(1000000, 64)
            .storeUint(10000, 64)
            .storeUint(10000000, 64)
            .storeUint(100000000, 64)
            .storeUint(1000000000, 64)
            .endCell(),
    );
    parameters.set(
        25,
        beginCell()
            .storeUint(0xea, 8)
            .storeUint(forward.lump, 64)
            .storeUint(forward.bit, 64)
            .storeUint(forward.cell, 64)
            .storeUint(98304, 32)
            .storeUint(forward.firstFraction, 16)
            .storeUint(21845, 16)
            .endCell(),
    );
    return beginCell().storeDictDirect(parameters).endCell();
}
