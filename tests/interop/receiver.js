// SPDX-License-Identifier: Apache-2.0
// An independent receiver, made with MQTT.js: receiver.js URL VERSION CLIENT_ID TOPIC FILE [USER PASSWORD]
//
// It keeps its own book of (gateway, stream, seq), unpacks gzip, and appends every data message as "TOPIC JSON-IN-HEX" to FILE
// before it acknowledges it; started again, it reads its book back from there. On SIGTERM it says what the book holds.
'use strict';
const fs = require('node:fs');
const zlib = require('node:zlib');
const mqtt = require('mqtt');

const [url, version, clientId, topic, file, username, password] = process.argv.slice(2);
const book = new Map();
const found = { records: 0, duplicates: 0, changed: [], holes: [], packed: 0 };

function enter(message) {
  for (const record of [...(message.samples || []), ...(message.events || [])]) {
    const key = `${message.gateway} ${message.stream} ${record.seq}`;
    const body = JSON.stringify(record);
    if (book.has(key)) found.duplicates++;
    if (book.has(key) && book.get(key) !== body) found.changed.push(key);
    book.set(key, body);
  }
}

function holes() {
  const streams = new Map();
  for (const key of book.keys()) {
    const [gateway, stream, seq] = key.split(' ');
    const id = `${gateway} ${stream}`;
    if (!streams.has(id)) streams.set(id, new Set());
    streams.get(id).add(Number(seq));
  }
  const missing = [];
  for (const [id, seqs] of streams)
    for (let n = Math.min(...seqs); n < Math.max(...seqs); n++) if (!seqs.has(n)) missing.push(`${id} ${n}`);
  return missing;
}

if (fs.existsSync(file))
  for (const line of fs.readFileSync(file, 'utf8').split('\n').filter(Boolean))
    enter(JSON.parse(Buffer.from(line.split(' ')[1], 'hex').toString()));

const client = mqtt.connect(url, {
  clientId, clean: false, protocolVersion: Number(version), reconnectPeriod: 100, username, password,
  properties: version === '5' ? { sessionExpiryInterval: 3600 } : undefined,
});
client.handleMessage = (packet, done) => {
  const isPacked = packet.payload[0] === 0x1f && packet.payload[1] === 0x8b;
  if (isPacked) found.packed++;
  const json = isPacked ? zlib.gunzipSync(packet.payload) : packet.payload;
  enter(JSON.parse(json.toString()));
  fs.appendFileSync(file, `${packet.topic} ${json.toString('hex')}\n`);
  done();
};
client.on('connect', () => client.subscribe(topic, { qos: 1 }, (e, granted) => {
  console.error(`subscribed ${e ? e.message : JSON.stringify(granted)}`);
}));
client.on('error', (e) => console.error(`error ${e.message}`));
process.on('SIGTERM', () => {
  console.error(`book ${JSON.stringify({ ...found, records: book.size, holes: holes() })}`);
  client.end(true, {}, () => process.exit(0));
});
