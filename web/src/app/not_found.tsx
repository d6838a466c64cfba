// What an address shows that is no page.
import { Link } from 'react-router-dom';
import { t } from '../text/common';
import { Empty, Title } from '../ui/parts';
import { useSay } from './settings';

export function NotFound() {
  const say = useSay();
  return (
    <>
      <Title text={say(t.not_found)} />
      <Empty title={say(t.not_found)}>
        <p>{say(t.not_found_help)}</p>
        <Link className="button primary" to="/">
          {say(t.to_markets)}
        </Link>
      </Empty>
    </>
  );
}
