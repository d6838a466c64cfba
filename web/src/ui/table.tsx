// One table for every list: sorted by a click on a column's head, filtered by text, exported as CSV, paged by cursor.
// Sorting and filtering work on the rows that are loaded; filters that the API has are the page's, put into `tools`.
import type { InfiniteData, UseInfiniteQueryResult } from '@tanstack/react-query';
import { useMemo, useState, type ReactNode } from 'react';
import { useSay } from '../app/settings';
import { csv } from '../format/csv';
import { t } from '../text/common';
import { Empty, Failed, Skeleton } from './parts';

export type Plain = string | number | bigint | null | undefined;

export interface Column<Row> {
  name: string;
  /** What is sorted, filtered and exported. */
  plain: (row: Row) => Plain;
  /** What is shown; `plain` by default. */
  show?: (row: Row) => ReactNode;
  right?: boolean;
  wide_only?: boolean;
}

interface TableProps<Row> {
  name: string;
  rows: Row[];
  columns: Column<Row>[];
  row_key: (row: Row) => string;
  dense?: boolean;
  filter?: boolean;
  tools?: ReactNode;
  empty?: ReactNode;
  more?: ReactNode;
}

function compare(a: Plain, b: Plain): number {
  if (a === b) return 0;
  if (a === null || a === undefined) return 1;
  if (b === null || b === undefined) return -1;
  if (typeof a === 'string' || typeof b === 'string') return String(a).localeCompare(String(b));
  return a < b ? -1 : 1;
}

function download(name: string, text: string): void {
  const url = URL.createObjectURL(new Blob(['\uFEFF' + text], { type: 'text/csv;charset=utf-8' }));
  const link = document.createElement('a');
  link.href = url;
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(url), 10_000);
}

export function Table<Row>({
  name,
  rows,
  columns,
  row_key,
  dense,
  filter = rows.length > 8,
  tools,
  empty,
  more,
}: TableProps<Row>) {
  const say = useSay();
  const [typed, set_typed] = useState('');
  const [order, set_order] = useState<{ column: number; down: boolean } | null>(null);

  const shown = useMemo(() => {
    const wanted = typed.trim().toLowerCase();
    const fits = (row: Row) =>
      columns.some((column) =>
        String(column.plain(row) ?? '')
          .toLowerCase()
          .includes(wanted),
      );
    const kept = wanted ? rows.filter(fits) : rows;
    const by = order && columns[order.column];
    if (!by) return kept;
    return [...kept].sort((a, b) => compare(by.plain(a), by.plain(b)) * (order.down ? -1 : 1));
  }, [rows, columns, typed, order]);

  const sort_by = (column: number) =>
    set_order((now) =>
      now?.column !== column ? { column, down: false } : now.down ? null : { column, down: true },
    );
  const save = () => {
    const lines = shown.map((row) =>
      columns.map((column) => {
        const value = column.plain(row);
        return typeof value === 'bigint' ? value.toString() : value;
      }),
    );
    download(
      `${name.toLowerCase().replace(/\W+/g, '-')}.csv`,
      csv(
        columns.map((column) => column.name),
        lines,
      ),
    );
  };

  if (rows.length === 0 && !tools) return <>{empty ?? <Empty />}</>;
  return (
    <>
      {(filter || tools) && (
        <div className="tools">
          {filter && (
            <input
              type="search"
              value={typed}
              placeholder={say(t.filter)}
              aria-label={`${say(t.filter)}: ${name}`}
              onChange={(event) => set_typed(event.target.value)}
            />
          )}
          {tools}
          <span className="grow" />
          {rows.length > 0 && (
            <button
              type="button"
              className="button small"
              aria-label={say(t.export_csv_of, { name })}
              onClick={save}
            >
              {say(t.export_csv)}
            </button>
          )}
        </div>
      )}
      {shown.length === 0 ? (
        rows.length === 0 ? (
          (empty ?? <Empty />)
        ) : (
          <Empty title={say(t.nothing_fits)} />
        )
      ) : (
        <div className="table-wrap" role="region" aria-label={name} tabIndex={0}>
          <table className={dense ? 'dense' : undefined}>
            <thead>
              <tr>
                {columns.map((column, index) => (
                  <th
                    key={column.name + index}
                    scope="col"
                    className={classes(column)}
                    aria-sort={order?.column !== index ? undefined : order.down ? 'descending' : 'ascending'}
                  >
                    {column.name ? (
                      <button type="button" onClick={() => sort_by(index)}>
                        {column.name}
                        <span aria-hidden="true">{order?.column !== index ? '' : order.down ? ' ↓' : ' ↑'}</span>
                      </button>
                    ) : (
                      <span className="hidden">{say(t.actions)}</span>
                    )}
                  </th>
                ))}
              </tr>
            </thead>
            <tbody>
              {shown.map((row) => (
                <tr key={row_key(row)}>
                  {columns.map((column, index) => (
                    <td key={column.name + index} className={classes(column)}>
                      {column.show
                        ? column.show(row)
                        : (column.plain(row)?.toString() ?? <span className="muted">—</span>)}
                    </td>
                  ))}
                </tr>
              ))}
            </tbody>
          </table>
        </div>
      )}
      {more}
    </>
  );
}

function classes<Row>(column: Column<Row>): string | undefined {
  return [column.right && 'right', column.wide_only && 'wide-only'].filter(Boolean).join(' ') || undefined;
}

interface Page<Row> {
  items: Row[];
}
type PagedProps<Row> = Omit<TableProps<Row>, 'rows' | 'more'> & {
  query: UseInfiniteQueryResult<InfiniteData<Page<Row>>>;
  /** Of the rows that are loaded, those to show. */
  only?: (row: Row) => boolean;
};

/** A table over a list with a cursor: what is loaded so far, and a button for the next page. */
export function PagedTable<Row>({ query, only, ...table }: PagedProps<Row>) {
  const say = useSay();
  const loaded = useMemo(() => query.data?.pages.flatMap((page) => page.items) ?? [], [query.data]);
  const rows = only ? loaded.filter(only) : loaded;
  if (query.isError && !query.data) return <Failed error={query.error} again={() => void query.refetch()} />;
  if (!query.data) return <Skeleton />;
  const more = query.hasNextPage && (
    <div className="tools">
      <button
        type="button"
        className="button"
        disabled={query.isFetchingNextPage}
        onClick={() => void query.fetchNextPage()}
      >
        {say(query.isFetchingNextPage ? t.loading : t.more)}
      </button>
    </div>
  );
  return <Table {...table} rows={rows} more={more} />;
}

/** A filter that the API has, among the tools of a table: one of `choices` as the API names them, or all. */
export function Narrowed<Choice extends string>({
  name,
  choices,
  value,
  change,
}: {
  name: string;
  choices: readonly Choice[];
  value: Choice | '';
  change: (choice: Choice | '') => void;
}) {
  const say = useSay();
  return (
    <select
      className="quiet-select"
      aria-label={name}
      value={value}
      onChange={(event) => change(event.target.value as Choice | '')}
    >
      <option value="">{`${name}: ${say(t.all)}`}</option>
      {choices.map((one) => (
        <option key={one}>{one}</option>
      ))}
    </select>
  );
}
