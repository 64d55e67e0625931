// SPDX-License-Identifier: Apache-2.0
// Reads an AsyncAPI file as the official parser does, and says what is in it: check.js MODULES FILE
// Exit 0 when the file is valid without a warning and describes exactly the topics of the contract.
'use strict';

const path = require('path');
const [modules, file] = process.argv.slice(2).map((p) => path.resolve(p));
const { Parser, fromFile } = require(path.join(modules, '@asyncapi', 'parser'));

const TOPICS = ['data/live', 'data/backlog', 'birth', 'state', 'command', 'reply'].map((t) => 'fieldgate/v1/{gateway}/' + t);
const SEVERITIES = ['error', 'warning', 'information', 'hint'];
// A newer version of AsyncAPI exists at any time; ours is chosen.
const ACCEPTED = ['asyncapi-latest-version'];

async function main() {
  const { document, diagnostics } = await fromFile(new Parser(), file).parse();
  const findings = diagnostics.filter((d) => !ACCEPTED.includes(d.code));
  for (const d of findings) {
    const at = `${path.basename(file)}:${d.range.start.line + 1}:${d.range.start.character + 1}`;
    console.error(`${at}: ${SEVERITIES[d.severity]}: ${d.code}: ${d.message} (${d.path.join('.')})`);
  }
  if (!document || findings.length > 0) return 1;
  const found = document.channels().all().map((c) => c.address());
  const wrong = [...TOPICS.filter((t) => !found.includes(t)), ...found.filter((t) => !TOPICS.includes(t))];
  for (const t of wrong) console.error(`${t}: only in ${found.includes(t) ? 'the file' : 'the contract'}`);
  for (const m of document.messages().all())
    if (!m.hasPayload() || !m.payload().title()) {
      console.error(`${m.name()}: its schema was not read`);
      wrong.push(m.name());
    }
  if (wrong.length > 0) return 1;
  const count = (all) => all.all().length;
  console.log(`asyncapi: ${found.length} channels, ${count(document.operations())} operations, ` +
              `${count(document.messages())} messages are valid`);
  return 0;
}

main().then((code) => process.exit(code), (e) => { console.error(e); process.exit(1); });
