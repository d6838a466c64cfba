// A TON wallet of the tests, and the bridge between it and the page: a v4r2 wallet with a known key, which answers what
// the pages ask. Its requests are the real library's, under the page's real policy; only the bridge's network is ours.
import { createHash, createPrivateKey, sign } from 'node:crypto';
import { SessionCrypto } from '@tonconnect/sdk';

export const bridge = 'https://bridge.tonapi.io/bridge/';

const hash = (...parts) => {
  const digest = createHash('sha256');
  for (const part of parts) digest.update(part);
  return digest.digest();
};
const key = createPrivateKey({
  key: Buffer.concat([
    Buffer.from('302e020100300506032b657004220420', 'hex'), // PKCS #8 of an Ed25519 seed
    hash('cocoon market, a wallet of the tests'),
  ]),
  format: 'der',
  type: 'pkcs8',
});
// WalletContractV4 of that key, as @ton/ton 16.3.0 makes it.
const public_key = '8a0bf8efe07032f633ebb394cb69fb2d3d445ab91c169ba244405aee7429ac0d';
const account_id = 'fef44525cb62ccbb1f44f2508dbebbb284d57a7a7b31ffbe74e150fee1c71e0e';
const state_init =
  'te6cckECFgEAAwQAAgE0ARUBFP8A9KQT9LzyyAsCAgEgAxACAUgEBwLm0AHQ0wMhcbCSXwTgItdJwSCSXwTgAtMfIYIQcGx1Z70ighBkc3RyvbCS' +
  'XwXgA/pAMCD6RAHIygfL/8nQ7UTQgQFA1yH0BDBcgQEI9ApvoTGzkl8H4AXTP8glghBwbHVnupI4MOMNA4IQZHN0crqSXwbjDQUGAHgB+gD0BDD4' +
  'J28iMFAKoSG+8uBQghBwbHVngx6xcIAYUATLBSbPFlj6Ahn0AMtpF8sfUmDLPyDJgED7AAYAilAEgQEI9Fkw7UTQgQFA1yDIAc8W9ADJ7VQBcrCO' +
  'I4IQZHN0coMesXCAGFAFywVQA88WI/oCE8tqyx/LP8mAQPsAkl8D4gIBIAgPAgEgCQ4CAVgKCwA9sp37UTQgQFA1yH0BDACyMoHy//J0AGBAQj0' +
  'Cm+hMYAIBIAwNABmtznaiaEAga5Drhf/AABmvHfaiaEAQa5DrhY/AABG4yX7UTQ1wsfgAWb0kK29qJoQICga5D6AhhHDUCAhHpJN9KZEM5pA+n/mD' +
  'eBKAG3gQFImHFZ8xhAT48oMI1xgg0x/TH9MfAvgju/Jk7UTQ0x/TH9P/9ATRUUO68qFRUbryogX5AVQQZPkQ8qP4ACSkyMsfUkDLH1Iwy/9SEPQA' +
  'ye1U+A8B0wchwACfbFGTINdKltMH1AL7AOgw4CHAAeMAIcAC4wABwAORMOMNA6TIyx8Syx/L/xESExQAbtIH+gDU1CL5AAXIygcVy//J0Hd0gBjI' +
  'ywXLAiLPFlAF+gIUy2sSzMzJc/sAyEAUgQEI9FHypwIAcIEBCNcY+gDTP8hUIEeBAQj0UfKnghBub3RlcHSAGMjLBcsCUAbPFlAE+gIUy2oSyx/L' +
  'P8lz+wACAGyBAQjXGPoA0z8wUiSBAQj0WfKnghBkc3RycHSAGMjLBcsCUAXPFlAD+gITy2rLHxLLP8lz+wAACvQAye1UAFEAAAAAKamjF4oL+O/g' +
  'cDL2M+uzlMtp+y09RFq5HBabokRAWu50KawNQJsiq5g=';
export const address = `0:${account_id}`;

/** TON Connect's `ton_proof`. */
export function proof_of(domain, payload, timestamp) {
  const numbers = Buffer.alloc(16);
  numbers.writeUInt32LE(Buffer.byteLength(domain), 4);
  numbers.writeBigUInt64LE(BigInt(timestamp), 8);
  const inner = hash(
    'ton-proof-item-v2/',
    numbers.subarray(0, 4),
    Buffer.from(account_id, 'hex'),
    numbers.subarray(4, 8),
    domain,
    numbers.subarray(8),
    payload,
  );
  const message = hash(Buffer.from('ffff', 'hex'), 'ton-connect', inner);
  return {
    timestamp,
    domain: { lengthBytes: Buffer.byteLength(domain), value: domain },
    payload,
    signature: sign(null, message, key).toString('base64'),
  };
}

export class TestWallet {
  said = new SessionCrypto();
  heard = [];
  listening = null; // the newest open question of the page's for messages

  /** Stands between the page and the bridge. */
  async attach(page) {
    const headers = { 'Access-Control-Allow-Origin': '*' };
    await page.route(`${bridge}**`, (route) => {
      const url = new URL(route.request().url());
      if (url.pathname.endsWith('/events')) {
        this.listening = { app: url.searchParams.get('client_id'), route };
        return;
      }
      const from = Buffer.from(url.searchParams.get('client_id'), 'hex');
      const sealed = Buffer.from(route.request().postData(), 'base64');
      this.heard.push(JSON.parse(this.said.decrypt(new Uint8Array(sealed), new Uint8Array(from))).method);
      return route.fulfill({ status: 200, headers, body: '{}' });
    });
    return this;
  }

  /** Reads the link as a phone would the code. */
  async scan(page) {
    const link = new URL(await page.getByRole('link', { name: 'Open Tonkeeper' }).getAttribute('href'));
    const app = link.searchParams.get('id');
    for (let tries = 0; this.listening?.app !== app; tries++) {
      if (tries > 100) throw new Error('the page does not listen at the bridge');
      await page.waitForTimeout(50);
    }
    return { app, request: JSON.parse(link.searchParams.get('r')) };
  }

  async say(app, message) {
    const sealed = this.said.encrypt(JSON.stringify(message), new Uint8Array(Buffer.from(app, 'hex')));
    const data = JSON.stringify({ from: this.said.sessionId, message: Buffer.from(sealed).toString('base64') });
    const { route } = this.listening;
    this.listening = null;
    await route.fulfill({
      status: 200,
      contentType: 'text/event-stream',
      headers: { 'Access-Control-Allow-Origin': '*' },
      body: `id: 1\nevent: message\ndata: ${data}\n\n`,
    });
  }

  async agree(page) {
    const { app, request } = await this.scan(page);
    const asked = request.items.find((item) => item.name === 'ton_proof');
    const network = request.items.find((item) => item.name === 'ton_addr').network;
    const proof = proof_of(new URL(request.manifestUrl).host, asked.payload, Math.floor(Date.now() / 1000));
    await this.say(app, {
      event: 'connect',
      id: 1,
      payload: {
        device: {
          platform: 'linux',
          appName: 'tonkeeper',
          appVersion: '1',
          maxProtocolVersion: 2,
          features: ['SendTransaction', { name: 'SendTransaction', maxMessages: 4 }],
        },
        items: [
          { name: 'ton_addr', address, network, publicKey: public_key, walletStateInit: state_init },
          { name: 'ton_proof', proof },
        ],
      },
    });
  }

  async refuse(page) {
    const { app } = await this.scan(page);
    await this.say(app, { event: 'connect_error', id: 1, payload: { code: 300, message: 'User declined' } });
  }
}
