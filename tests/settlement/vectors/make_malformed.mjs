// Bags of cells that must be refused, written byte by byte, because no library writes them. Each is one
// change to a good bag; the checksum is made right again unless it is the change.

function crc32c(bytes) {
    let crc = ~0;
    for (const byte of bytes) {
        crc ^= byte;
        for (let i = 0; i < 8; i += 1) crc = (crc >>> 1) ^ (crc & 1 ? 0x82f63b78 : 0);
    }
    return ~crc >>> 0;
}

const big = (value, bytes) => {
    const out = [];
    for (let i = bytes - 1; i >= 0; i -= 1) out.push(Number((BigInt(value) >> BigInt(8 * i)) & 255n));
    return out;
};

// cells: [{ d1, d2, data: [bytes], refs: [numbers] }]; every field of the header can be given.
function bag(cells, change = {}) {
    const size = change.size ?? 1,
        offsetBytes = change.offsetBytes ?? 1;
    const parts = cells.map((cell) => [
        cell.d1,
        cell.d2,
        ...cell.data,
        ...cell.refs.flatMap((ref) => big(ref, size)),
    ]);
    const data = [...parts.flat(), ...(change.extraData ?? [])];
    const ends = parts.map((_, i) => parts.slice(0, i + 1).flat().length);
    const crc = change.crc ?? true;
    const flags =
        change.flags ?? (change.index ? 0x80 : 0) | (crc ? 0x40 : 0) | (change.cache ? 0x20 : 0) | size;
    const bytes = [
        ...big(change.magic ?? 0xb5ee9c72, 4),
        flags,
        offsetBytes,
        ...big(change.cells ?? cells.length, size),
        ...big(change.roots ?? 1, size),
        ...big(change.absent ?? 0, size),
        ...big(change.dataBytes ?? data.length, offsetBytes),
        ...(change.rootList ?? [change.root ?? 0]).flatMap((root) => big(root, size)),
        ...(change.index
            ? (change.index === true ? ends : change.index).flatMap((end) => big(end, offsetBytes))
            : []),
        ...data,
    ];
    if (crc)
        bytes.push(
            ...big(crc32c(bytes), 4)
                .reverse()
                .map((byte, i) => (change.crcMask ? byte ^ change.crcMask[i] : byte)),
        );
    return Buffer.from([...bytes, ...(change.after ?? [])]);
}

const leaf = (data = [0xab], refs = []) => ({ d1: refs.length, d2: data.length * 2, data, refs });

export function malformedBags(random) {
    const cases = [];
    const add = (expect) => (id, bytes) =>
        cases.push({ id, boc: Buffer.from(bytes).toString("base64"), expect });
    const refuse = add("refuse"),
        accept = add("ok");
    const two = [leaf([1], [1]), leaf([2])];
    accept("good-one-cell", bag([leaf()]));
    accept("good-two-cells", bag(two));
    accept("good-with-index", bag(two, { index: true }));
    accept("good-without-checksum", bag(two, { crc: false }));
    accept("good-wide-numbers", bag(two, { size: 4, offsetBytes: 8 }));
    accept("good-root-in-another-place", bag([leaf([1], [1]), leaf([2])], { rootList: [0] }));
    refuse("empty", []);
    refuse("magic-only", [0xb5, 0xee, 0x9c, 0x72]);
    for (let cut = 5; cut < 24; cut += 3)
        refuse(`cut-to-${cut}`, bag(two).subarray(0, Math.min(cut, bag(two).length - 1)));
    refuse("unknown-magic", bag(two, { magic: 0xb5ee9c73 }));
    refuse("byte-after-checksum", bag(two, { after: [0] }));
    refuse("byte-after-no-checksum", bag(two, { crc: false, after: [0] }));
    refuse("wrong-checksum", bag(two, { crcMask: [1, 0, 0, 0] }));
    refuse("wrong-checksum-last-byte", bag(two, { crcMask: [0, 0, 0, 0x80] }));
    refuse("reserved-flag-8", bag(two, { flags: 0x49 }));
    refuse("reserved-flag-16", bag(two, { flags: 0x51 }));
    refuse("cache-bits-without-index", bag(two, { flags: 0x61 }));
    refuse("reference-size-0", bag(two, { flags: 0x40 }));
    refuse("reference-size-5", bag(two, { flags: 0x45 }));
    refuse("reference-size-7", bag(two, { flags: 0x47 }));
    refuse("offset-size-0", bag(two, { offsetBytes: 0 }));
    refuse("offset-size-9", bag(two, { offsetBytes: 9 }));
    refuse("no-cells", bag([], { cells: 0 }));
    refuse("more-cells-than-there-are", bag(two, { cells: 3 }));
    refuse("fewer-cells-than-there-are", bag(two, { cells: 1 }));
    refuse("absurd-number-of-cells", bag(two, { size: 4, cells: 0x7fffffff }));
    refuse("number-of-cells-negative-as-int", bag(two, { size: 4, cells: 0xffffffff }));
    refuse("no-roots", bag(two, { roots: 0, rootList: [] }));
    refuse("two-roots", bag(two, { roots: 2, rootList: [0, 1] }));
    refuse("more-roots-than-cells", bag(two, { roots: 3, rootList: [0, 1, 1] }));
    refuse("root-out-of-range", bag(two, { root: 2 }));
    refuse("root-far-out-of-range", bag(two, { size: 4, root: 0xffffffff }));
    refuse("absent-cells", bag(two, { absent: 1 }));
    refuse("absent-more-than-cells", bag(two, { absent: 9 }));
    refuse("data-size-too-small", bag(two, { dataBytes: 6 }));
    refuse("data-size-too-large", bag(two, { dataBytes: 8 }));
    refuse("data-size-absurd", bag(two, { offsetBytes: 8, dataBytes: "0xffffffffffffffff" }));
    refuse("data-size-above-1024-per-cell", bag([leaf()], { offsetBytes: 2, dataBytes: 1025 }));
    refuse("data-after-the-last-cell", bag(two, { extraData: [0] }));
    refuse("reference-to-itself", bag([leaf([1], [0]), leaf([2])]));
    refuse("reference-backwards", bag([leaf([1], [1]), leaf([2], [0])]));
    refuse("reference-out-of-range", bag([leaf([1], [2]), leaf([2])]));
    refuse("cycle", bag([leaf([1], [1]), leaf([2], [2]), leaf([3], [1])]));
    refuse("unreferenced-cell", bag([leaf([1]), leaf([2])]));
    refuse("cell-before-the-root", bag([leaf([1], [1]), leaf([2])], { root: 1 }));
    refuse("five-references", bag([leaf([1], [1, 1, 1, 1, 1]), leaf([2])]));
    refuse("seven-references", bag([{ d1: 7, d2: 2, data: [1], refs: [1, 1, 1, 1, 1, 1, 1] }, leaf([2])]));
    refuse(
        "absent-cell-descriptor",
        bag([leaf([1], [1]), { d1: 23, d2: 0, data: Array(34).fill(0), refs: [] }]),
    );
    refuse("no-completion-tag", bag([{ d1: 0, d2: 1, data: [0x00], refs: [] }]));
    refuse("overlong-completion-tag", bag([{ d1: 0, d2: 1, data: [0x80], refs: [] }]));
    refuse("overlong-second-byte", bag([{ d1: 0, d2: 3, data: [0xff, 0x80], refs: [] }]));
    refuse(
        "1024-bits",
        bag(
            [{ d1: 0, d2: 256, data: Array(128).fill(1), refs: [] }].map((cell) => ({
                ...cell,
                d2: 255,
                data: [...Array(127).fill(1), 0x00],
            })),
        ),
    );
    refuse("cell-cut-short", bag([{ d1: 0, d2: 8, data: [1, 2, 3], refs: [] }]));
    refuse("level-on-an-ordinary-cell", bag([{ d1: 0x20, d2: 2, data: [1], refs: [] }]));
    refuse("exotic-without-kind", bag([{ d1: 8, d2: 0, data: [], refs: [] }]));
    refuse("exotic-of-kind-0", bag([{ d1: 8, d2: 2, data: [0], refs: [] }]));
    refuse("exotic-of-kind-5", bag([{ d1: 8, d2: 2, data: [5], refs: [] }]));
    refuse("exotic-of-kind-255", bag([{ d1: 8, d2: 2, data: [255], refs: [] }]));
    refuse("library-too-short", bag([{ d1: 8, d2: 64, data: [2, ...Array(31).fill(9)], refs: [] }]));
    refuse(
        "library-with-reference",
        bag([{ d1: 9, d2: 66, data: [2, ...Array(32).fill(9)], refs: [1] }, leaf()]),
    );
    refuse("pruned-as-root", bag([{ d1: 0x28, d2: 72, data: [1, 1, ...Array(34).fill(0)], refs: [] }]));
    refuse("pruned-level-0", bag([{ d1: 8, d2: 4, data: [1, 0], refs: [] }]));
    refuse("pruned-level-4", bag([{ d1: 0x28, d2: 72, data: [1, 8, ...Array(34).fill(0)], refs: [] }]));
    refuse(
        "pruned-too-long",
        bag([leaf([1], [1]), { d1: 0x28, d2: 74, data: [1, 1, ...Array(35).fill(0)], refs: [] }]),
    );
    refuse(
        "merkle-proof-of-another-cell",
        bag([{ d1: 9, d2: 70, data: [3, ...Array(34).fill(0)], refs: [1] }, leaf()]),
    );
    refuse(
        "merkle-proof-without-reference",
        bag([{ d1: 8, d2: 70, data: [3, ...Array(34).fill(0)], refs: [] }]),
    );
    refuse(
        "merkle-update-with-one-reference",
        bag([{ d1: 9, d2: 138, data: [4, ...Array(68).fill(0)], refs: [1] }, leaf()]),
    );
    refuse("wrong-stored-hash", bag([{ d1: 16, d2: 2, data: [...Array(34).fill(0), 1], refs: [] }]));
    refuse("index-that-does-not-match", bag(two, { index: [3, 7] }));
    refuse("index-descending", bag(two, { index: [7, 4] }));
    refuse("index-beyond-the-data", bag(two, { index: [4, 8] }));
    refuse("index-cut-short", bag(two, { index: [4] }));
    refuse("wrong-cache-bit", bag(two, { index: [9, 14], cache: true }));
    const deep = Array.from({ length: 1026 }, (_, i) => leaf([i & 255], i < 1025 ? [i + 1] : []));
    refuse("depth-1025", bag(deep, { size: 2, offsetBytes: 2 }));
    for (let i = 0; i < 12; i += 1) {
        const bytes = bag(two);
        bytes[random(bytes.length)] ^= 1 << random(8);
        refuse(`one-bit-flipped-${i}`, bytes);
    }
    return cases;
}
