// The operator's desk: what happens on the market, who may take part, the money, and what was done. Auditors see the same
// and change nothing.
import { Route, Routes } from 'react-router-dom';
import { NotFound } from '../app/not_found';
import { DeskFrame } from '../desk/frame';
import { t } from '../text/admin';
import { Accounts, Applications } from './accounts';
import { Audit } from './audit';
import { BookExplorer } from './book';
import { Denials } from './denials';
import { Deposits } from './deposits';
import { Fee } from './fee';
import { Health } from './health';
import { Ledger } from './ledger';
import { Markets } from './markets';
import { Measurements } from './measurements';
import { Nodes } from './nodes';
import { Overview } from './overview';
import { Payouts } from './payouts';
import { SettlementPage } from './settlement';
import { Timeline } from './timeline';

export function AdminDesk() {
  return (
    <DeskFrame
      kinds={['admin', 'auditor']}
      links={[
        ['/admin', t.overview],
        ['/admin/timeline', t.timeline],
        ['/admin/health', t.health],
        t.group_market,
        ['/admin/markets', t.markets],
        ['/admin/book', t.book],
        ['/admin/fee', t.fees],
        t.group_trust,
        ['/admin/nodes', t.nodes],
        ['/admin/measurements', t.measurements],
        ['/admin/denials', t.denials],
        t.group_people,
        ['/admin/accounts', t.accounts],
        ['/admin/applications', t.applications],
        t.group_money,
        ['/admin/ledger', t.ledger],
        ['/admin/deposits', t.deposits],
        ['/admin/payouts', t.payouts],
        ['/admin/settlement', t.settlement],
        t.group_record,
        ['/admin/audit', t.audit],
      ]}
    >
      <Routes>
        <Route index element={<Overview />} />
        <Route path="timeline" element={<Timeline />} />
        <Route path="health" element={<Health />} />
        <Route path="markets" element={<Markets />} />
        <Route path="book" element={<BookExplorer />} />
        <Route path="fee" element={<Fee />} />
        <Route path="nodes" element={<Nodes />} />
        <Route path="measurements" element={<Measurements />} />
        <Route path="denials" element={<Denials />} />
        <Route path="accounts" element={<Accounts />} />
        <Route path="applications" element={<Applications />} />
        <Route path="ledger" element={<Ledger />} />
        <Route path="deposits" element={<Deposits />} />
        <Route path="payouts" element={<Payouts />} />
        <Route path="settlement" element={<SettlementPage />} />
        <Route path="audit" element={<Audit />} />
        <Route path="*" element={<NotFound />} />
      </Routes>
    </DeskFrame>
  );
}
