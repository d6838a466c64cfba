// How to come in, for both sides, in the order in which it is done.
import { Link } from 'react-router-dom';
import { useSay } from '../app/settings';
import { t } from '../text/public';
import { Card, Code, Title } from '../ui/parts';
import { client_commands, node_commands } from './commands';

export function JoinPage() {
  const say = useSay();
  const steps = (list: (typeof t)[keyof typeof t][]) => (
    <ol className="numbered">
      {list.map((step) => (
        <li key={step[0]}>{say(step)}</li>
      ))}
    </ol>
  );
  return (
    <div className="stack">
      <Title text={say(t.join_title)} help={say(t.join_help)} />
      <div className="grid-2">
        <Card title={say(t.as_developer)}>
          <div className="stack tight">
            {steps([t.developer_1, t.developer_2, t.developer_3])}
            <Code text={client_commands} label={say(t.as_developer)} />
            <Link className="button primary" to="/sign-up/developer">
              {say(t.sign_up_developer)}
            </Link>
          </div>
        </Card>
        <Card title={say(t.as_provider)}>
          <div className="stack tight">
            {steps([t.provider_1, t.provider_2, t.provider_3, t.provider_4])}
            <Code text={node_commands()} label={say(t.as_provider)} />
            <Link className="button primary" to="/sign-up/provider">
              {say(t.sign_up_provider)}
            </Link>
          </div>
        </Card>
      </div>
    </div>
  );
}
