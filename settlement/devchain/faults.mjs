// Everything that goes wrong between a client and a provider, on request. A rule names a method (or "*"),
// a kind, how likely it strikes (1 unless told) and how often at most. Chance comes from a seed, so that a
// failing run can be repeated.

export const kinds = {
    status: "answers with HTTP status `value` (429, 500, 504, 542) and does nothing",
    drop: "says ok and forgets the message",
    delay: "says ok and keeps the message back for `value` milliseconds",
    duplicate: "says ok and passes the message on twice",
    accept_then_timeout: "passes the message on and breaks the connection without an answer",
    slow: "answers after `value` milliseconds",
    stale: "answers as of `value` blocks ago",
    time_skew: "shifts every time it tells by `value` seconds",
    wrong_hash: "changes the hash of one transaction",
    lying_fields: "changes the decoded fields beside the raw data: amount, source, comment",
};

export class Faults {
    constructor(seed = 1) {
        this.rules = [];
        this.state = seed >>> 0;
    }

    // Replaces all rules. Throws with the reason if one of them is not a rule.
    set(rules, seed) {
        if (!Array.isArray(rules)) throw new Error("rules must be a list");
        for (const rule of rules) {
            if (!Object.hasOwn(kinds, rule.kind)) throw new Error(`unknown kind '${rule.kind}'`);
            const probability = rule.probability ?? 1;
            if (!(probability >= 0 && probability <= 1))
                throw new Error("probability must be between 0 and 1");
            if (rule.value !== undefined && !Number.isFinite(rule.value))
                throw new Error("value must be a number");
        }
        this.rules = rules.map((rule) => ({ method: "*", probability: 1, count: Infinity, ...rule }));
        if (seed !== undefined) this.state = seed >>> 0;
    }

    random() {
        this.state = (this.state + 0x6d2b79f5) >>> 0;
        let mixed = this.state;
        mixed = Math.imul(mixed ^ (mixed >>> 15), mixed | 1);
        mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
        return ((mixed ^ (mixed >>> 14)) >>> 0) / 4294967296;
    }

    // What strikes this call: { kind: value }, the first rule of a kind deciding.
    strike(method) {
        const struck = {};
        for (const rule of this.rules) {
            if (rule.method !== "*" && rule.method !== method) continue;
            if (rule.count <= 0 || rule.kind in struck || this.random() >= rule.probability) continue;
            rule.count -= 1;
            struck[rule.kind] = rule.value ?? 1;
        }
        return struck;
    }
}
