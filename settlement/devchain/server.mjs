// The development chain over HTTP, on loopback only: toncenter's v2 and v3, and /dev for the faucet and the
// faults. Several ports are several providers of one chain, each with faults of its own; port 0 lets the kernel
// choose, and the line that is printed names the ports.
//   node server.mjs --ports 18500,18501 --journal chain.journal [--block-ms 400]
import { createServer } from "node:http";
import { parseArgs } from "node:util";
import { pathToFileURL } from "node:url";
import core from "@ton/core";
import { DevChain } from "./chain.mjs";
import { Faults, kinds } from "./faults.mjs";
import { Refusal, v2, v3 } from "./toncenter.mjs";

const bodyBytesMax = 1 << 20;

async function readBody(request) {
    const parts = [];
    let size = 0;
    for await (const part of request) {
        size += part.length;
        if (size > bodyBytesMax) throw new Refusal(413, "the body is too large");
        parts.push(part);
    }
    if (size === 0) return {};
    try {
        const body = JSON.parse(Buffer.concat(parts).toString("utf8"));
        if (body === null || typeof body !== "object") throw new Error();
        return body;
    } catch {
        throw new Refusal(422, "the body is not a JSON object");
    }
}

// Repeated names become lists; `name[]` is `name`.
function readQuery(url) {
    const found = {};
    for (const [key, value] of url.searchParams) {
        const name = key.replace(/\[\]$/, "");
        found[name] = name in found ? [found[name], value].flat() : value;
    }
    return found;
}

export class Provider {
    constructor(chain, seed) {
        this.chain = chain;
        this.faults = new Faults(seed);
        this.server = createServer((request, response) => {
            this.serve(request, response).catch((error) => {
                console.error("provider:", error);
                response.destroy();
            });
        });
    }

    listen(port) {
        return new Promise((resolve) =>
            this.server.listen(port, "127.0.0.1", () => resolve(this.server.address().port)),
        );
    }

    close() {
        this.server.closeAllConnections();
        return new Promise((resolve) => this.server.close(resolve));
    }

    async serve(request, response) {
        const url = new URL(request.url, "http://localhost");
        const [, first, second, third] = url.pathname.split("/");
        let answer;
        try {
            const parameters = {
                ...readQuery(url),
                ...(request.method === "POST" ? await readBody(request) : {}),
            };
            if (first === "dev")
                answer = { status: 200, body: this.control(second, parameters, request.method) };
            else if (first === "api" && second === "v2") answer = await this.callV2(third, parameters);
            else if (first === "api" && second === "v3") answer = await this.callV3(third, parameters);
            else throw new Refusal(404, "not found");
        } catch (error) {
            if (!(error instanceof Refusal)) throw error;
            answer = { status: error.status, body: { ok: false, error: error.message, code: error.status } };
        }
        if (answer === null) return response.destroy();
        response.writeHead(answer.status, { "content-type": "application/json" });
        response.end(JSON.stringify(answer.body));
    }

    // The result of `call` as the client is to see it; null breaks the connection.
    async struck(method, call) {
        const faults = this.faults.strike(method);
        if ("slow" in faults) await new Promise((resolve) => setTimeout(resolve, faults.slow));
        if ("status" in faults)
            throw new Refusal(faults.status, faultTexts[faults.status] ?? "injected fault");
        const view = {
            chain: this.chain,
            faults,
            skew: faults.time_skew ?? 0,
            block: Math.max(1, this.chain.finalHeight - (faults.stale ?? 0)),
        };
        const result = await call(view);
        return "accept_then_timeout" in faults ? null : { result };
    }

    async callV2(method, parameters) {
        const rpc = method === "jsonRPC";
        const name = rpc ? parameters.method : method;
        const envelope = { "@extra": `${Date.now()}:0:0`, jsonrpc: "2.0", id: parameters.id ?? null };
        try {
            if (!Object.hasOwn(v2, name)) throw new Refusal(404, "method not found");
            const called = rpc ? (parameters.params ?? {}) : parameters;
            const outcome = await this.struck(name, (view) => v2[name](view, called));
            if (outcome === null) return null;
            return { status: 200, body: { ok: true, result: outcome.result, ...envelope } };
        } catch (error) {
            if (!(error instanceof Refusal)) throw error;
            return {
                status: error.status,
                body: { ok: false, error: error.message, code: error.status, ...envelope },
            };
        }
    }

    async callV3(method, parameters) {
        if (!Object.hasOwn(v3, method)) throw new Refusal(404, "not found");
        try {
            const outcome = await this.struck(method, (view) => v3[method](view, parameters));
            return outcome && { status: 200, body: outcome.result };
        } catch (error) {
            if (!(error instanceof Refusal)) throw error;
            return { status: error.status, body: { error: error.message, code: error.status } };
        }
    }

    control(what, parameters, method) {
        if (what === "status")
            return {
                height: this.chain.height,
                final: this.chain.finalHeight,
                halted: this.chain.halted,
                waiting: this.chain.pool.length,
                time: this.chain.timeOf(this.chain.height),
                rules: this.faults.rules,
            };
        if (what === "kinds") return kinds;
        if (method !== "POST") throw new Refusal(405, "use POST");
        if (what === "faults") return this.setFaults(parameters);
        if (what === "halt") return { halted: (this.chain.halted = parameters.halted !== false) };
        if (what === "faucet") return this.faucet(parameters);
        throw new Refusal(404, "not found");
    }

    setFaults({ rules = [], seed }) {
        try {
            this.faults.set(rules, seed);
        } catch (error) {
            throw new Refusal(422, error.message);
        }
        return { rules: this.faults.rules.length };
    }

    faucet({ address, amount, comment = null, bounce = false }) {
        if (!/^[1-9][0-9]{0,18}$/.test(String(amount))) throw new Refusal(422, "amount: nanotons, as text");
        let to;
        try {
            to = core.Address.parse(address);
        } catch {
            throw new Refusal(422, "address: not an address");
        }
        this.chain.faucet({ address: to, amount: BigInt(amount), text: comment, bounce });
        return { ok: true };
    }
}

const faultTexts = {
    429: "Ratelimit exceed",
    500: "LITE_SERVER_UNKNOWN: injected fault",
    504: "LITE_SERVER_NETWORK timeout",
    542: "LITE_SERVER_NOTREADY: injected fault",
};

async function main() {
    const { values } = parseArgs({
        options: {
            ports: { type: "string", default: "18500" },
            journal: { type: "string" },
            "block-ms": { type: "string", default: "400" },
        },
    });
    const chain = await DevChain.open({
        journal: values.journal ?? null,
        blockMs: Number(values["block-ms"]),
    });
    const providers = values.ports.split(",").map((port, i) => [new Provider(chain, i + 1), Number(port)]);
    const ports = [];
    for (const [provider, port] of providers) ports.push(await provider.listen(port));
    console.log(`development chain: block ${chain.height}, ports ${ports.join(",")}`);
    for (const signal of ["SIGINT", "SIGTERM"])
        process.on(signal, async () => {
            for (const [provider] of providers) await provider.close();
            await chain.close();
            process.exit(0);
        });
}

if (import.meta.url === pathToFileURL(process.argv[1]).href) await main();
