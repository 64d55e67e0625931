// SPDX-License-Identifier: Apache-2.0
// From fieldgate's topics into PostgreSQL: a message is acknowledged after its records are committed, never before.
// MQTT_URL, MQTT_CLIENT_ID, MQTT_USERNAME, MQTT_PASSWORD, MQTT_TOPIC; PGHOST, PGDATABASE, PGUSER, PGPASSWORD.
'use strict';
const zlib = require('node:zlib');
const { setTimeout: sleep } = require('node:timers/promises');
const mqtt = require('mqtt');
const { Pool } = require('pg');

const root = process.env.MQTT_TOPIC || 'fieldgate/v1/+';
const version = Number(process.env.MQTT_VERSION || 5); // 4 is MQTT 3.1.1, for brokers without 5
const database = new Pool({ max: 1 });
database.on('error', (e) => console.error(`database: ${e.message}`)); // the next query connects again

const text = (payload) => (payload[0] === 0x1f ? zlib.gunzipSync(payload) : payload).toString();
// The same message would fail in the same way for ever: not JSON, not ours, not gzip.
const isUnreadable = (e) => /^(22|23)/.test(e.code) || /^Z_/.test(e.code);

async function store({ topic, payload }) {
  const take = topic.endsWith('/birth') ? 'take_birth' : 'take_data';
  try {
    await database.query(`SELECT ${take}($1)`, [text(payload)]);
  } catch (e) {
    if (!isUnreadable(e)) throw e;
    await database.query('INSERT INTO unreadable (topic, payload, error) VALUES ($1, $2, $3)', [topic, payload, e.message]);
  }
}

const client = mqtt.connect(process.env.MQTT_URL || 'mqtt://127.0.0.1', {
  clientId: process.env.MQTT_CLIENT_ID || 'postgresql', clean: false, protocolVersion: version, reconnectPeriod: 1000,
  properties: version === 5 ? { sessionExpiryInterval: 30 * 86400 } : undefined,
  username: process.env.MQTT_USERNAME, password: process.env.MQTT_PASSWORD,
});
client.on('connect', () => client.subscribe([`${root}/data/#`, `${root}/birth`], { qos: 1 }));
client.on('error', (e) => console.error(`broker: ${e.message}`));
// One message after the other. MQTT.js sends the PUBACK when done() is called.
client.handleMessage = async (message, done) => {
  for (;;) {
    try { await store(message); return done(); } catch (e) { console.error(`database: ${e.message}`); await sleep(1000); }
  }
};
