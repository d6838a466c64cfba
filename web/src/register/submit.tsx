// A provider asks for a build to be approved. The registers of a machine that shows them already can be taken over.
import { useInfiniteQuery } from '@tanstack/react-query';
import { useState } from 'react';
import type { Schemas } from '../api/client';
import { paged } from '../api/paged';
import { register } from '../api/register';
import { useSay } from '../app/settings';
import { t as common } from '../text/common';
import { t } from '../text/register';
import { Choice, Faults, Field, Form, useAct } from '../ui/form';

type Kind = Schemas['MeasurementSubmit']['kind'];
type Registers = Schemas['Registers'];
type Name = keyof Registers;

const names: Record<Kind, Name[]> = {
  tdx: ['mrtd', 'rtmr0', 'rtmr1', 'rtmr2', 'rtmr3'],
  snp: ['measurement'],
  simulated: ['measurement'],
};

export function SubmitForm({ done }: { done: () => void }) {
  const say = useSay();
  const nodes = useInfiniteQuery(paged('/v1/nodes'));
  const measured = (nodes.data?.pages.flatMap((page) => page.items) ?? []).filter((node) => node.registers && node.tier);
  const [kind, set_kind] = useState<Kind>('tdx');
  const [registers, set_registers] = useState<Registers>({});
  const [build, set_build] = useState({ name: '', version: '', source: '', notes: '' });
  const wanted = names[kind];
  const submit = useAct(
    () =>
      register.submit({
        ...build,
        kind,
        notes: build.notes || undefined,
        registers: Object.fromEntries(wanted.flatMap((name) => (registers[name] ? [[name, registers[name].trim()]] : []))),
      }),
    ['/v1/measurements'],
  );
  const take = (id: string) => {
    const node = measured.find((one) => one.id === id);
    if (!node?.registers || !node.tier) return;
    set_kind(node.tier.startsWith('tdx') ? 'tdx' : node.tier.startsWith('snp') ? 'snp' : 'simulated');
    set_registers(node.registers);
  };
  const change = (part: keyof typeof build) => (value: string) => set_build({ ...build, [part]: value });
  return (
    <Form submit={() => submit.mutate(undefined, { onSuccess: done })}>
      <p className="soft small whole">{say(t.submit_help)}</p>
      {measured.length > 0 && (
        <Choice
          label={say(t.take_from)}
          value=""
          change={take}
          values={[['', '—'], ...measured.map((node) => [node.id, node.name ?? node.id] as const)]}
        />
      )}
      <Choice
        label={say(t.kind)}
        value={kind}
        change={set_kind}
        values={[
          ['tdx', 'Intel TDX'],
          ['snp', 'AMD SEV-SNP'],
          ['simulated', say(common.tier_simulated)],
        ]}
      />
      <Field label={say(common.name)} value={build.name} change={change('name')} required />
      <Field label={say(t.version)} value={build.version} change={change('version')} required />
      <Field
        label={say(t.source)}
        type="url"
        value={build.source}
        change={change('source')}
        hint={say(t.source_hint)}
        placeholder="https://"
        required
        whole
      />
      {wanted.map((name) => (
        <Field
          key={name}
          label={name}
          value={registers[name] ?? ''}
          change={(value) => set_registers({ ...registers, [name]: value })}
          hint={name.startsWith('rtmr') ? say(t.may_be_left_out) : say(t.hex_characters)}
          required={!name.startsWith('rtmr')}
          whole
        />
      ))}
      <Field label={say(t.notes)} value={build.notes} change={change('notes')} hint={say(t.notes_hint)} whole />
      <Faults error={submit.error} />
      <div className="whole">
        <button className="button primary" type="submit" disabled={submit.isPending}>
          {say(t.submit)}
        </button>
      </div>
    </Form>
  );
}
