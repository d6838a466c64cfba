// An act of an operator with the words that go into the audit log, or that everybody may read.
import { useState, type ReactNode } from 'react';
import { useSession } from '../app/session';
import { useSay } from '../app/settings';
import type { Message } from '../format/words';
import { t } from '../text/admin';
import { Dialog, Faults, Field, Form, useAct } from '../ui/form';

/** Auditors look and do not act. `children` shows beforehand what the act will do. */
export function Noted({
  button,
  title,
  help,
  act,
  touches,
  tone = 'small',
  label = t.note,
  children,
}: {
  button: Message;
  title: string;
  help: Message;
  act: (note: string) => Promise<unknown>;
  touches: string[];
  tone?: string;
  label?: Message;
  children?: ReactNode;
}) {
  const say = useSay();
  const [note, set_note] = useState('');
  const run = useAct(act, [...touches, '/v1/admin']);
  if (useSession()?.account.kind !== 'admin') return null;
  return (
    <Dialog button={say(button)} title={`${say(button)}: ${title}`} tone={tone}>
      {(close) => (
        <Form
          submit={() =>
            run.mutate(note, {
              onSuccess: () => {
                set_note('');
                close();
              },
            })
          }
        >
          <p className="soft whole">{say(help)}</p>
          {children && <div className="whole">{children}</div>}
          <Field label={say(label)} value={note} change={set_note} required whole />
          <Faults error={run.error} />
          <div className="whole">
            <button className="button primary" type="submit" disabled={run.isPending}>
              {say(button)}
            </button>
          </div>
        </Form>
      )}
    </Dialog>
  );
}
