// Lists with a cursor as infinite queries, typed by the path. The key is the path with its filter, so that a change of
// filter is another list.
import type { components } from './schema';
import { body, client } from './client';

type Schemas = components['schemas'];

/** What each list holds; the path is the proof. */
export interface Lists {
  '/v1/network/nodes': Schemas['Node'];
  '/v1/measurements': Schemas['Measurement'];
  '/v1/keys': Schemas['Key'];
  '/v1/nodes': Schemas['Node'];
  '/v1/offers': Schemas['Offer'];
  '/v1/requests': Schemas['Request'];
  '/v1/jobs': Schemas['Job'];
  '/v1/account/statement': Schemas['StatementEntry'];
  '/v1/payouts': Schemas['Payout'];
  '/v1/deposits': Schemas['Deposit'];
  '/v1/admin/accounts': Schemas['AdminAccount'];
  '/v1/admin/applications': Schemas['Application'];
  '/v1/admin/denials': Schemas['Denial'];
  '/v1/admin/payouts': Schemas['OverseenPayout'];
  '/v1/admin/held-deposits': Schemas['HeldDeposit'];
  '/v1/admin/audit': Schemas['AuditEntry'];
}

interface Page<Row> {
  items: Row[];
  has_more: boolean;
  next_cursor: string | null;
}

type Filter = Record<string, string | undefined>;

export function paged<Path extends keyof Lists>(path: Path, filter: Filter = {}) {
  type Row = Lists[Path];
  return {
    queryKey: [path, filter] as const,
    initialPageParam: undefined as string | undefined,
    // Every path of Lists is a GET whose query has limit and cursor; openapi-fetch cannot say so of a union of paths.
    queryFn: ({ pageParam }: { pageParam: string | undefined }) =>
      body(
        client.GET(path as '/v1/jobs', { params: { query: { ...filter, limit: 50, cursor: pageParam } as never } }),
      ) as unknown as Promise<Page<Row>>,
    getNextPageParam: (last: Page<Row>) => (last.has_more ? (last.next_cursor ?? undefined) : undefined),
  };
}
