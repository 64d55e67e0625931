// SPDX-License-Identifier: Apache-2.0
// The table of the buffering flow (flow_buffer.json), in the place of node-red-node-sqlite: the native part of that package
// does not come from the package registry. SQLite is the one that Node.js brings along. Like that package it works beside
// the flow, in a thread of its own; unlike it, it commits whatever has come meanwhile together (WAL, synchronous=FULL),
// because a commit for each message holds up everything on a slow disk.
'use strict';
const { Worker, isMainThread, parentPort, workerData, receiveMessageOnPort } = require('node:worker_threads');

function open(path) {
  const worker = new Worker(__filename, { workerData: path });
  const asked = [];
  worker.on('message', (rows) => asked.shift()(rows));
  return {
    put: (topic, payload) => worker.postMessage({ topic, payload: JSON.stringify(payload) }),
    remove: (id) => worker.postMessage({ id }),
    // A promise of the rows behind an id, oldest first.
    after: (id, count) => new Promise((resolve) => {
      asked.push(resolve);
      worker.postMessage({ after: id, count });
    })
  };
}

function serve(path) {
  const { DatabaseSync } = require('node:sqlite');
  const db = new DatabaseSync(path);
  db.exec('PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL;' +
    'CREATE TABLE IF NOT EXISTS waiting (id INTEGER PRIMARY KEY AUTOINCREMENT, topic TEXT, payload TEXT)');
  const insert = db.prepare('INSERT INTO waiting (topic, payload) VALUES (?, ?)');
  const select = db.prepare('SELECT id, topic, payload FROM waiting WHERE id > ? ORDER BY id LIMIT ?');
  const remove = db.prepare('DELETE FROM waiting WHERE id = ?');

  parentPort.on('message', (first) => {
    const questions = [];
    db.exec('BEGIN');
    for (let m = first; m; m = (receiveMessageOnPort(parentPort) || {}).message) {
      if ('after' in m) questions.push(m);
      else if ('id' in m) remove.run(m.id);
      else insert.run(m.topic, m.payload);
    }
    db.exec('COMMIT');
    for (const q of questions) parentPort.postMessage(select.all(q.after, q.count));
  });
}

if (isMainThread) module.exports = open;
else serve(workerData);
