// The provider desk: from a machine to earnings, and reasons whenever something does not match.
import { Route, Routes } from 'react-router-dom';
import { DeskFrame } from '../desk/frame';
import { KeysPage } from '../desk/keys';
import { PayoutsPage, StatementPage } from '../desk/money';
import { ProfilePage } from '../desk/profile';
import { UsageCard } from '../desk/usage';
import { ActivityPage, WebhooksPage } from '../desk/webhooks';
import { JobPage, JobsPage } from '../developer/jobs';
import { NotFound } from '../app/not_found';
import { useSay } from '../app/settings';
import { t as desk } from '../text/desk';
import { t } from '../text/provider';
import { Title } from '../ui/parts';
import { Estimator } from './estimator';
import { NodePage, NodesPage } from './nodes';
import { OfferPage, OffersPage } from './offers';
import { Overview } from './overview';

function EarningsPage() {
  const say = useSay();
  return (
    <>
      <Title text={say(t.earnings)} />
      <UsageCard side="sold" title={say(t.earnings)} />
      <Estimator />
    </>
  );
}

export function ProviderDesk() {
  return (
    <DeskFrame
      kinds={['provider']}
      links={[
        ['/provider', desk.overview],
        ['/provider/nodes', t.nodes],
        ['/provider/offers', t.offers],
        ['/provider/earnings', t.earnings],
        ['/provider/jobs', t.jobs],
        ['/provider/payouts', desk.payouts],
        ['/provider/statement', desk.statement],
        ['/provider/keys', desk.keys],
        ['/provider/webhooks', desk.webhooks],
        ['/provider/activity', desk.activity],
        ['/provider/profile', desk.profile],
      ]}
    >
      <Routes>
        <Route index element={<Overview />} />
        <Route path="nodes" element={<NodesPage />} />
        <Route path="nodes/:id" element={<NodePage />} />
        <Route path="offers" element={<OffersPage />} />
        <Route path="offers/:id" element={<OfferPage />} />
        <Route path="earnings" element={<EarningsPage />} />
        <Route path="jobs" element={<JobsPage />} />
        <Route path="jobs/:id" element={<JobPage />} />
        <Route path="payouts" element={<PayoutsPage />} />
        <Route path="statement" element={<StatementPage />} />
        <Route path="keys" element={<KeysPage />} />
        <Route path="webhooks" element={<WebhooksPage />} />
        <Route path="activity" element={<ActivityPage />} />
        <Route path="profile" element={<ProfilePage />} />
        <Route path="*" element={<NotFound />} />
      </Routes>
    </DeskFrame>
  );
}
