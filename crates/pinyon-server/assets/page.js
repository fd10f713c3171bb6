const text = (tag, content, kind) => { const e = document.createElement(tag); e.textContent = content; if (kind) e.className = kind; return e; };
const resolve = (doc, s) => s && s.$ref ? doc.components.schemas[s.$ref.split('/').pop()] : s;
const typeOf = (doc, s) => {
  if (!s) return '';
  if (s.$ref) return s.$ref.split('/').pop();
  if (s.oneOf || s.anyOf) return (s.oneOf || s.anyOf).map(x => typeOf(doc, x)).filter(x => x !== 'null').join(' or ');
  const t = Array.isArray(s.type) ? s.type.filter(x => x !== 'null').join(' or ') : s.type;
  return t === 'array' ? `list of ${typeOf(doc, s.items)}` : t || 'any';
};
function fields(doc, schema, seen = new Set()) {
  const s = resolve(doc, schema), table = document.createElement('table');
  if (!s || !s.properties) return table;
  for (const [name, prop] of Object.entries(s.properties)) {
    const row = document.createElement('tr'), required = (s.required || []).includes(name);
    row.append(text('td', name, required ? 'needed' : ''));
    row.append(text('td', typeOf(doc, prop) + (required ? '' : ', optional'), 'soft'));
    row.append(text('td', prop.description || (resolve(doc, prop) || {}).description || ''));
    table.append(row);
  }
  for (const prop of Object.values(s.properties)) {
    const inner = prop.$ref || (prop.items && prop.items.$ref);
    if (inner && !seen.has(inner)) { seen.add(inner); const r = table.insertRow(); const c = r.insertCell(); c.colSpan = 3; c.append(text('h3', inner.split('/').pop()), fields(doc, { $ref: inner }, seen)); }
  }
  return table;
}
fetch('/openapi.json').then(r => r.json()).then(doc => {
  document.getElementById('about').textContent = doc.info.description;
  const main = document.getElementById('operations');
  for (const [path, verbs] of Object.entries(doc.paths)) for (const [verb, op] of Object.entries(verbs)) {
    const box = document.createElement('details'), head = document.createElement('summary');
    head.append(text('span', verb, 'verb'), text('code', path, 'path'), text('span', op.summary || '', 'soft'));
    box.append(head);
    const body = op.requestBody && op.requestBody.content['application/json'];
    if (body) box.append(text('h3', 'Body'), fields(doc, body.schema));
    for (const [status, response] of Object.entries(op.responses || {})) {
      const content = response.content && response.content['application/json'];
      box.append(text('h3', `Answer ${status}`)); if (response.description) box.append(text('p', response.description)); if (content) box.append(fields(doc, content.schema));
    }
    main.append(box);
  }
}).catch(e => { document.getElementById('about').textContent = 'The description could not be loaded: ' + e; });
