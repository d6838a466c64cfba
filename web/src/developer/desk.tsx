// The developer desk: from an empty account to a first answer, and every coin since.
import { Route, Routes } from 'react-router-dom';
import { DeskFrame } from '../desk/frame';
import { KeysPage } from '../desk/keys';
import { PayoutsPage, StatementPage } from '../desk/money';
import { ProfilePage } from '../desk/profile';
import { UsageCard } from '../desk/usage';
import { ActivityPage, WebhooksPage } from '../desk/webhooks';
import { useSay } from '../app/settings';
import { NotFound } from '../app/not_found';
import { t as desk } from '../text/desk';
import { t } from '../text/developer';
import { Title } from '../ui/parts';
import { JobPage, JobsPage } from './jobs';
import { Overview } from './overview';
import { RequestPage, RequestsPage } from './requests';

function UsagePage() {
  const say = useSay();
  return (
    <>
      <Title text={say(desk.usage)} />
      <UsageCard side="bought" title={say(desk.usage)} />
    </>
  );
}

export function DeveloperDesk() {
  return (
    <DeskFrame
      kinds={['developer']}
      links={[
        ['/developer', desk.overview],
        ['/developer/requests', t.requests],
        ['/developer/jobs', t.jobs],
        ['/developer/usage', desk.usage],
        ['/developer/keys', desk.keys],
        ['/developer/statement', desk.statement],
        ['/developer/payouts', desk.payouts],
        ['/developer/webhooks', desk.webhooks],
        ['/developer/activity', desk.activity],
        ['/developer/profile', desk.profile],
      ]}
    >
      <Routes>
        <Route index element={<Overview />} />
        <Route path="requests" element={<RequestsPage />} />
        <Route path="requests/:id" element={<RequestPage />} />
        <Route path="jobs" element={<JobsPage />} />
        <Route path="jobs/:id" element={<JobPage />} />
        <Route path="usage" element={<UsagePage />} />
        <Route path="keys" element={<KeysPage />} />
        <Route path="statement" element={<StatementPage />} />
        <Route path="payouts" element={<PayoutsPage />} />
        <Route path="webhooks" element={<WebhooksPage />} />
        <Route path="activity" element={<ActivityPage />} />
        <Route path="profile" element={<ProfilePage />} />
        <Route path="*" element={<NotFound />} />
      </Routes>
    </DeskFrame>
  );
}
