// The register of builds: what machines may run, who decided, and which machines run it. Anyone reads it, providers
// submit, admins decide.
import { body, client, once, type Schemas } from './client';
import type { Node } from './market';

export type Measurement = Schemas['Measurement'];
export type MeasurementState = Schemas['MeasurementState'];
export type Denial = Schemas['Denial'];

const of = (id: string) => ({ path: { id }, header: once() });
const page_rows = 100;
/** Nodes looked through to find those of one build; the API has no filter for it. */
export const nodes_scanned_max = 2_000;

export interface Runners {
  nodes: Node[];
  /** All nodes of the network were looked through. */
  whole: boolean;
}

async function runners(measurement: string): Promise<Runners> {
  const nodes: Node[] = [];
  let cursor: string | undefined;
  for (let scanned = 0; scanned < nodes_scanned_max; scanned += page_rows) {
    const page = await body(client.GET('/v1/network/nodes', { params: { query: { limit: page_rows, cursor } } }));
    nodes.push(...page.items.filter((node) => node.measurement_id === measurement));
    cursor = page.next_cursor ?? undefined;
    if (!page.has_more || cursor === undefined) return { nodes, whole: true };
  }
  return { nodes, whole: false };
}

export const register = {
  entry: (id: string) => ({
    queryKey: [`/v1/measurements/${id}`],
    queryFn: () => body(client.GET('/v1/measurements/{id}', { params: { path: { id } } })),
  }),
  runners: (id: string) => ({
    queryKey: ['/v1/network/nodes', 'runners', id],
    queryFn: () => runners(id),
    staleTime: 30_000,
  }),

  submit: (form: Schemas['MeasurementSubmit']) =>
    body(client.POST('/v1/measurements', { params: { header: once() }, body: form })),
  approve: (id: string, reason: string) =>
    body(client.POST('/v1/admin/measurements/{id}:approve', { params: of(id), body: { reason } })),
  revoke: (id: string, reason: string) =>
    body(client.POST('/v1/admin/measurements/{id}:revoke', { params: of(id), body: { reason } })),

  deny: (form: Schemas['DenialCreate']) =>
    body(client.POST('/v1/admin/denials', { params: { header: once() }, body: form })),
  lift: (id: string, reason: string) =>
    body(client.POST('/v1/admin/denials/{id}:lift', { params: of(id), body: { reason } })),
};
