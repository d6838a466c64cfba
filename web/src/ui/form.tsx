// Fields, forms and dialogs of the desks, on react-aria-components: labels, descriptions and faults belong together, and
// a dialog keeps the focus. Loaded with the desks only.
import { useMutation, useQueryClient } from '@tanstack/react-query';
import { useId, type FormEvent, type ReactNode } from 'react';
import {
  Button,
  Dialog as AriaDialog,
  DialogTrigger,
  FieldError,
  Heading,
  Input,
  Label,
  Modal,
  ModalOverlay,
  Text,
  TextField,
} from 'react-aria-components';
import { Refusal } from '../api/client';
import { useSay } from '../app/settings';
import { t } from '../text/common';
import { refusal_text } from './parts';

interface FieldProps {
  label: string;
  value: string;
  change: (value: string) => void;
  hint?: ReactNode;
  fault?: string;
  type?: 'text' | 'number' | 'password' | 'url' | 'datetime-local';
  required?: boolean;
  min?: number;
  max?: number;
  mode?: 'numeric' | 'decimal' | 'text';
  whole?: boolean;
  list?: string[];
  placeholder?: string;
  /** What a password manager may fill in: `current-password`, `one-time-code`. */
  complete?: string;
}

export function Field({
  label,
  value,
  change,
  hint,
  fault,
  type = 'text',
  required,
  min,
  max,
  mode,
  whole,
  list,
  placeholder,
  complete = 'off',
}: FieldProps) {
  const id = useId();
  return (
    <TextField
      className={whole ? 'field whole' : 'field'}
      value={value}
      onChange={change}
      isRequired={required}
      isInvalid={fault !== undefined}
      type={type as 'text'}
      validationBehavior="aria"
    >
      <Label>{label}</Label>
      <Input
        min={min}
        max={max}
        inputMode={mode}
        list={list && id}
        placeholder={placeholder}
        required={required}
        autoComplete={complete}
      />
      {list && (
        <datalist id={id}>
          {list.map((item) => (
            <option key={item} value={item} />
          ))}
        </datalist>
      )}
      {hint && (
        <Text slot="description" className="hint">
          {hint}
        </Text>
      )}
      <FieldError className="fault">{fault}</FieldError>
    </TextField>
  );
}

export function Choice<Value extends string>({
  label,
  value,
  change,
  values,
  hint,
}: {
  label: string;
  value: Value;
  change: (value: Value) => void;
  values: readonly (readonly [Value, string])[];
  hint?: string;
}) {
  const id = useId();
  return (
    <div className="field">
      <label htmlFor={id}>{label}</label>
      <select id={id} value={value} onChange={(event) => change(event.target.value as Value)}>
        {values.map(([one, name]) => (
          <option key={one} value={one}>
            {name}
          </option>
        ))}
      </select>
      {hint && <span className="hint">{hint}</span>}
    </div>
  );
}

export function Checks<Value extends string>({
  label,
  values,
  chosen,
  change,
}: {
  label: string;
  values: readonly (readonly [Value, string])[];
  chosen: readonly Value[];
  change: (chosen: Value[]) => void;
}) {
  return (
    <fieldset className="field whole plain-fieldset">
      <legend className="label">{label}</legend>
      <div className="checks">
        {values.map(([value, name]) => (
          <label key={value}>
            <input
              type="checkbox"
              checked={chosen.includes(value)}
              onChange={(event) =>
                change(event.target.checked ? [...chosen, value] : chosen.filter((one) => one !== value))
              }
            />
            {name}
          </label>
        ))}
      </div>
    </fieldset>
  );
}

/** What was refused, with every wrong field that has no place of its own. */
export function Faults({ error, shown = [] }: { error: unknown; shown?: string[] }) {
  const say = useSay();
  if (!error) return null;
  const rest =
    error instanceof Refusal ? (error.problem.errors ?? []).filter((fault) => !shown.includes(fault.path)) : [];
  return (
    <div className="notice bad whole" role="alert">
      <strong>{refusal_text(error, say)}</strong>
      {rest.map((fault) => (
        <span key={fault.path + fault.message}>
          <code>{fault.path}</code> {fault.message}
        </span>
      ))}
      {error instanceof Refusal && error.problem.request_id && (
        <span className="tiny mono">{say(t.support_id, { id: error.problem.request_id })}</span>
      )}
    </div>
  );
}

/** An act that changes something: afterwards the queries whose key begins with one of `touches` are read again. */
export function useAct<Input, Output>(run: (input: Input) => Promise<Output>, touches: string[]) {
  const cache = useQueryClient();
  return useMutation({
    mutationFn: run,
    onSettled: () =>
      cache.invalidateQueries({
        predicate: (query) => touches.some((path) => String(query.queryKey[0]).startsWith(path)),
      }),
  });
}

export function Form({ submit, children }: { submit: () => void; children: ReactNode }) {
  const on_submit = (event: FormEvent) => {
    event.preventDefault();
    submit();
  };
  return (
    <form className="form" onSubmit={on_submit} noValidate={false}>
      {children}
    </form>
  );
}

/** A button that opens a dialog; `children` gets what closes it. */
export function Dialog({
  button,
  title,
  tone = '',
  children,
}: {
  button: string;
  title: string;
  tone?: string;
  children: (close: () => void) => ReactNode;
}) {
  const say = useSay();
  return (
    <DialogTrigger>
      <Button className={`button ${tone}`}>{button}</Button>
      <ModalOverlay className="overlay" isDismissable>
        <Modal className="dialog">
          <AriaDialog>
            {({ close }) => (
              <>
                <div className="row between">
                  <Heading slot="title" className="dialog-title">
                    {title}
                  </Heading>
                  <Button slot="close" className="icon-button" aria-label={say(t.close)}>
                    <span aria-hidden="true">×</span>
                  </Button>
                </div>
                {children(close)}
              </>
            )}
          </AriaDialog>
        </Modal>
      </ModalOverlay>
    </DialogTrigger>
  );
}

/** Asks once more before an act that cannot be undone. */
export function Confirm({
  button,
  title,
  text,
  act,
  tone = 'danger small',
}: {
  button: string;
  title: string;
  text: string;
  act: () => Promise<unknown>;
  tone?: string;
}) {
  const say = useSay();
  const run = useMutation({ mutationFn: act });
  return (
    <Dialog button={button} title={title} tone={tone}>
      {(close) => (
        <>
          <p className="soft">{text}</p>
          <Faults error={run.error} />
          <div className="row">
            <Button
              className="button danger"
              isDisabled={run.isPending}
              onPress={() => run.mutate(undefined, { onSuccess: close })}
            >
              {button}
            </Button>
            <Button className="button" onPress={close}>
              {say(t.cancel)}
            </Button>
          </div>
        </>
      )}
    </Dialog>
  );
}
