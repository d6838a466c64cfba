// The desk's first page: money, how to begin, what waits.
import { useInfiniteQuery, useQuery } from '@tanstack/react-query';
import { useState } from 'react';
import { Link } from 'react-router-dom';
import { read } from '../api/market';
import { paged } from '../api/paged';
import { useSay } from '../app/settings';
import { BalanceFigures, DepositCard } from '../desk/money';
import { client_config } from '../public/commands';
import { t as desk } from '../text/desk';
import { t } from '../text/developer';
import { Card, Code, Segments, StateBadge, Time, Title } from '../ui/parts';

export function Overview() {
  const say = useSay();
  return (
    <>
      <Title text={say(desk.overview)} />
      <BalanceFigures />
      <QuickStart />
      <div className="grid-2">
        <DepositCard />
        <Waiting />
      </div>
    </>
  );
}

type Language = 'curl' | 'python' | 'javascript';

function QuickStart() {
  const say = useSay();
  const [language, set_language] = useState<Language>('curl');
  const markets = useQuery(read.markets());
  const version = useQuery(read.version());
  const model = (
    markets.data?.items.find((market) => market.kind === 'inference' && market.offers > 0)?.name ??
    'inference:MODEL'
  ).replace('inference:', '');
  const simulated = version.data?.simulated_tier === 'allow';
  const setup = `umask 077; printf %s "$COCOON_WORK_KEY" > work.key
cat > client.json <<'END'
${client_config(window.location.origin, simulated)}
END
cocoon-client serve --config client.json`;
  const samples: Record<Language, string> = {
    curl: `curl http://127.0.0.1:8081/v1/chat/completions -H 'Content-Type: application/json' \\
  -d '${JSON.stringify({ model, messages: [{ role: 'user', content: 'Who can read this prompt?' }] })}'`,
    python: `from openai import OpenAI

client = OpenAI(base_url="http://127.0.0.1:8081/v1", api_key="local")
answer = client.chat.completions.create(
    model="${model}",
    messages=[{"role": "user", "content": "Who can read this prompt?"}],
)
print(answer.choices[0].message.content)`,
    javascript: `import OpenAI from "openai";

const openai = new OpenAI({ baseURL: "http://127.0.0.1:8081/v1", apiKey: "local" });
const answer = await openai.chat.completions.create({
  model: "${model}",
  messages: [{ role: "user", content: "Who can read this prompt?" }],
});
console.log(answer.choices[0].message.content, answer.usage.cost_nano);`,
  };
  return (
    <Card
      title={say(t.quick_start)}
      tools={
        <Segments<Language>
          name={say(t.quick_start)}
          chosen={language}
          choose={set_language}
          values={[
            ['curl', 'curl'],
            ['python', say(t.python)],
            ['javascript', say(t.javascript)],
          ]}
        />
      }
    >
      <div className="stack tight">
        <p className="small soft">{say(t.quick_help)}</p>
        {simulated && <p className="notice warn">{say(t.accept_simulated)}</p>}
        <Code text={setup} label={say(t.setup)} />
        <Code text={samples[language]} label={language} />
      </div>
    </Card>
  );
}

function Waiting() {
  const say = useSay();
  const waiting = useInfiniteQuery(paged('/v1/requests', { state: 'resting' }));
  const rows = waiting.data?.pages[0]?.items.slice(0, 6) ?? [];
  return (
    <Card title={say(t.waiting_now)}>
      {rows.length === 0 ? (
        <p className="muted small">{say(t.none_waiting)}</p>
      ) : (
        <ul className="stack tight">
          {rows.map((request) => (
            <li key={request.id} className="row between">
              <Link to={`requests/${request.id}`}>{request.id}</Link>
              <StateBadge state={request.state} />
              <Time at={request.placed_at} ago />
            </li>
          ))}
        </ul>
      )}
    </Card>
  );
}
