// Renders /openapi.json as a page. Text is always set as text, never as markup; no library, no inline
// style, so that the strict Content-Security-Policy of /docs holds.
'use strict';

const methods = ['get', 'post', 'put', 'patch', 'delete'];
let contract;

function element(name, attributes, ...children) {
  const node = document.createElement(name);
  for (const [key, value] of Object.entries(attributes || {})) {
    if (value !== undefined && value !== false) node.setAttribute(key, value === true ? '' : value);
  }
  node.append(...children.filter((child) => child !== null && child !== undefined));
  return node;
}

// `code` in back quotes and **strong** as elements; paragraphs by empty lines.
function prose(text, attributes) {
  const box = element('div', attributes);
  for (const paragraph of (text || '').trim().split(/\n\s*\n/)) {
    const node = element('p');
    for (const part of paragraph.split(/(`[^`]+`|\*\*[^*]+\*\*)/)) {
      if (part.startsWith('`')) node.append(element('code', {}, part.slice(1, -1)));
      else if (part.startsWith('**')) node.append(element('strong', {}, part.slice(2, -2)));
      else node.append(part);
    }
    box.append(node);
  }
  return box;
}

function resolve(value) {
  if (!value || !value.$ref) return value;
  return value.$ref.replace(/^#\//, '').split('/').reduce((at, key) => at && at[key], contract);
}

function reference(value) {
  return value && value.$ref ? value.$ref.split('/').pop() : '';
}

// allOf as one object, so that pages show their items beside their cursor.
function flattened(schema) {
  const whole = resolve(schema) || {};
  if (!whole.allOf) return whole;
  const merged = {type: 'object', properties: {}, required: [], description: whole.description};
  for (const part of whole.allOf) {
    const piece = flattened(part);
    Object.assign(merged.properties, piece.properties);
    merged.required.push(...(piece.required || []));
  }
  return merged;
}

function typeName(schema) {
  const name = reference(schema);
  const whole = flattened(schema);
  if (whole.const !== undefined) return JSON.stringify(whole.const);
  if (whole.enum) return whole.enum.length > 8 ? name || 'text' : whole.enum.map((one) => JSON.stringify(one)).join(' | ');
  if (whole.oneOf) return whole.oneOf.map(typeName).join(' or ');
  if (whole.type === 'array') return 'list of ' + typeName(whole.items);
  if (Array.isArray(whole.type)) return whole.type.join(' or ');
  return name || whole.format || whole.type || 'any';
}

function bounds(schema) {
  const whole = flattened(schema);
  const notes = [];
  if (whole.minimum !== undefined || whole.maximum !== undefined) {
    notes.push(`${whole.minimum ?? '…'} to ${whole.maximum ?? '…'}`);
  }
  if (whole.default !== undefined) notes.push(`default ${JSON.stringify(whole.default)}`);
  if (whole.maxItems !== undefined) notes.push(`at most ${whole.maxItems} items`);
  if (whole.maxLength !== undefined) notes.push(`at most ${whole.maxLength} bytes`);
  return notes.join(', ');
}

function objectsInside(schema) {
  const whole = flattened(schema);
  if (whole.properties) return [whole];
  if (whole.type === 'array') return objectsInside(whole.items);
  if (whole.oneOf) return whole.oneOf.flatMap(objectsInside);
  return [];
}

// Nested objects open on demand, which also ends recursion.
function tree(schema) {
  const list = element('ul', {class: 'tree'});
  for (const whole of objectsInside(schema)) {
    for (const [name, member] of Object.entries(whole.properties)) {
      const needed = (whole.required || []).includes(name);
      const line = [element('code', {}, name), ' ', element('span', {class: 'type'}, typeName(member))];
      if (needed) line.push(' ', element('span', {class: 'needed'}, 'required'));
      const note = [bounds(member), member.description || flattened(member).description].filter(Boolean).join('. ');
      if (note) line.push(' ', element('span', {class: 'muted'}, note));
      if (objectsInside(member).length === 0) {
        list.append(element('li', {}, ...line));
        continue;
      }
      const inner = element('details', {}, element('summary', {}, ...line));
      inner.addEventListener('toggle', () => {
        if (inner.open && inner.childElementCount === 1) inner.append(tree(member));
      });
      list.append(element('li', {}, inner));
    }
  }
  return list;
}

function sample(text, label) {
  const button = element('button', {class: 'copy', type: 'button', 'aria-label': 'Copy ' + label}, 'Copy');
  button.addEventListener('click', async () => {
    try {
      await navigator.clipboard.writeText(text);
      button.textContent = 'Copied';
    } catch {
      button.textContent = 'Select it';
    }
    setTimeout(() => { button.textContent = 'Copy'; }, 1500);
  });
  return element('div', {class: 'sample'}, element('pre', {tabindex: '0', 'aria-label': label}, element('code', {}, text)), button);
}

function quoted(text) {
  return "'" + text.replaceAll("'", "'\\''") + "'";
}

function curl(method, path, operation, parameters, example) {
  const filled = path.replace('{name}', 'inference:Qwen%2FQwen3-8B').replace(/\{id\}/, () => {
    const id = parameters.find((one) => one.name === 'id');
    return (id && (flattened(id.schema).examples || [])[0]) || 'ID';
  });
  const lines = [`curl ${method === 'get' ? '' : '-X ' + method.toUpperCase() + ' '}"$COCOON_MARKET_URL${filled}"`];
  const open = operation.security && operation.security.length === 0;
  if (!open) lines.push('-H "Authorization: Bearer $COCOON_API_KEY"');
  for (const one of parameters) {
    if (one.in !== 'header' || !one.required) continue;
    const value = {'Idempotency-Key': '$(uuidgen)', 'If-Match': '\\"1\\"'}[one.name] || '…';
    lines.push(`-H "${one.name}: ${value}"`);
  }
  if (example !== undefined) {
    lines.push("-H 'Content-Type: application/json'", '-d ' + quoted(JSON.stringify(example)));
  }
  return lines.join(' \\\n  ');
}

function parameterTable(parameters) {
  const rows = parameters.map((one) => element('tr', {},
    element('th', {scope: 'row'}, element('code', {}, one.name), one.required ? element('span', {class: 'needed'}, ' required') : null),
    element('td', {class: 'muted'}, one.in),
    element('td', {}, element('span', {class: 'type'}, typeName(one.schema)), ' ',
      [bounds(one.schema), one.description].filter(Boolean).join('. '))));
  return element('table', {}, element('tbody', {}, ...rows));
}

function answers(operation) {
  const body = element('tbody');
  const trees = [];
  for (const [status, raw] of Object.entries(operation.responses)) {
    const answer = resolve(raw);
    const content = Object.entries(answer.content || {});
    const types = content.map(([type, {schema}]) => `${type}${reference(schema) ? ' (' + reference(schema) + ')' : ''}`);
    body.append(element('tr', {}, element('th', {scope: 'row'}, status),
      element('td', {}, answer.description || ''), element('td', {class: 'muted'}, types.join(', '))));
    for (const [type, {schema}] of content) {
      if (type !== 'application/json' || objectsInside(schema).length === 0) continue;
      trees.push(element('h4', {}, `Body of ${status}`), tree(schema));
    }
  }
  return [element('h4', {}, 'Answers'), element('table', {}, body), ...trees];
}

function operationCard(path, method, operation, shared) {
  const parameters = [...(shared || []), ...(operation.parameters || [])].map(resolve);
  const body = operation.requestBody && resolve(operation.requestBody);
  const json = body && body.content['application/json'];
  const examples = Object.entries((json && json.examples) || {});
  const open = operation.security && operation.security.length === 0;

  const inside = element('div', {class: 'inside'});
  const fill = () => {
    if (inside.childElementCount > 0) return;
    if (operation.description) inside.append(prose(operation.description));
    inside.append(element('p', {}, element('span', {class: 'tag'}, open ? 'no credentials' : 'API key')));
    if (parameters.length > 0) inside.append(element('h4', {}, 'Parameters'), parameterTable(parameters));
    if (json) inside.append(element('h4', {}, 'Body'), tree(json.schema));
    else if (body) inside.append(element('h4', {}, 'Body'), element('p', {}, Object.keys(body.content).join(', ')));
    for (const [name, {value}] of examples) {
      inside.append(element('h4', {}, 'Example: ' + name), sample(JSON.stringify(value, null, 2), 'example ' + name));
    }
    inside.append(element('h4', {}, 'curl'), sample(curl(method, path, operation, parameters, examples[0] && examples[0][1].value), 'curl command'));
    inside.append(...answers(operation));
  };
  const summary = element('summary', {}, element('span', {class: 'method ' + method}, method.toUpperCase()),
    element('h3', {class: 'path'}, path), element('span', {class: 'what'}, operation.summary || ''));
  const card = element('details', {class: 'card', id: operation.operationId,
    'data-text': `${method} ${path} ${operation.operationId} ${operation.summary}`.toLowerCase()}, summary, inside);
  card.addEventListener('toggle', fill);
  return card;
}

function render() {
  const main = document.getElementById('main');
  const contents = document.getElementById('contents');
  main.replaceChildren(element('h1', {}, contract.info.title), prose(contract.info.summary, {class: 'muted'}),
    prose(contract.info.description));
  for (const tag of contract.tags) {
    const section = element('section', {'aria-labelledby': 'tag-' + tag.name},
      element('h2', {id: 'tag-' + tag.name}, tag.name), element('p', {class: 'muted'}, tag.description));
    const links = element('ul');
    for (const [path, item] of Object.entries(contract.paths)) {
      for (const method of methods) {
        const operation = item[method];
        if (!operation || operation.tags[0] !== tag.name) continue;
        section.append(operationCard(path, method, operation, item.parameters));
        links.append(element('li', {}, element('a', {href: '#' + operation.operationId},
          element('span', {class: 'method ' + method}, method.toUpperCase()),
          element('span', {class: 'path', title: path}, path))));
      }
    }
    main.append(section);
    contents.append(element('h2', {}, tag.name), links);
  }
  const hook = contract.webhooks.event.post;
  main.append(element('section', {}, element('h2', {}, 'Webhook'), prose(hook.description),
    parameterTable(hook.parameters), tree(hook.requestBody.content['application/json'].schema)));
  const codes = contract.components.schemas.Problem.properties.code.enum;
  main.append(element('section', {}, element('h2', {}, 'Error codes'), element('p', {class: 'muted'},
    'The stable code of every problem+json.'), element('p', {}, ...codes.flatMap((code) =>
    [element('code', {id: code, class: 'tag'}, code), ' ']))));
}

function openTarget() {
  const target = document.getElementById(decodeURIComponent(location.hash.slice(1)));
  if (!target) return;
  if (target instanceof HTMLDetailsElement) target.open = true;
  target.scrollIntoView();
}

function filterCards() {
  const words = document.getElementById('filter').value.toLowerCase().split(/\s+/).filter(Boolean);
  for (const card of document.querySelectorAll('details.card')) {
    card.hidden = !words.every((word) => card.dataset.text.includes(word));
    const link = document.querySelector(`nav a[href="#${card.id}"]`);
    if (link) link.parentElement.hidden = card.hidden;
  }
}

async function start() {
  try {
    const answer = await fetch('/openapi.json');
    if (!answer.ok) throw new Error('HTTP ' + answer.status);
    contract = await answer.json();
  } catch (error) {
    document.getElementById('status').textContent = `The contract could not be read (${error.message}). Try /openapi.yaml.`;
    return;
  }
  render();
  openTarget();
  window.addEventListener('hashchange', openTarget);
  document.getElementById('filter').addEventListener('input', filterCards);
  document.addEventListener('keydown', (event) => {
    const typing = event.target instanceof HTMLInputElement;
    if (event.key === '/' && !typing) {
      event.preventDefault();
      document.getElementById('filter').focus();
    }
  });
}

start();
