// Command lines that people paste. Their programs' own help is the source: cocoon-client and cocoon-node --help.

export const client_commands = `cocoon-client serve --config client.json

curl http://127.0.0.1:8081/v1/models`;

/** With a token in hand the second line is ready to run. */
export function node_commands(token?: string): string {
  const enrol = token
    ? `echo '${token}' | cocoon-node enrol --config node.json --token -`
    : 'cocoon-node enrol  --config node.json --token -';
  return `cocoon-node doctor --config node.json
${enrol}
cocoon-node run    --config node.json`;
}

/** Settings for cocoon-client. A market that trades the simulated tier is tried by naming it. */
export function client_config(market_url: string, simulated: boolean): string {
  const tiers = simulated ? ['simulated'] : ['tdx+gpu-cc', 'snp+gpu-cc'];
  return JSON.stringify(
    { market_url, api_key_file: 'work.key', listen: '127.0.0.1:8081', receipts_directory: 'receipts', tiers },
    null,
    2,
  );
}
