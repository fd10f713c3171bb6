// Drives a server through the official TypeScript SDK, whichever version is installed beside it, as its users do.
// usage: node conformance.mjs SERVER_URL API_KEY before|after      (see ../python/conformance.py)

import assert from 'node:assert/strict';
import { createRequire } from 'node:module';
import { Pinecone } from '@pinecone-database/pinecone';

const require = createRequire(import.meta.url);
const version = require('@pinecone-database/pinecone/package.json').version;
const major = Number(version.split('.')[0]);
const [server, apiKey, phase] = process.argv.slice(2);
const name = `ts-${major}`;
const kept = `kept-by-ts-${major}`;
const spec = { serverless: { cloud: 'aws', region: 'us-east-1' } };

const pc = new Pinecone({ apiKey, controllerHostUrl: server });
const open = (indexName) => (major >= 9 ? pc.index({ name: indexName }) : pc.index(indexName));
const create = (request) =>
  major >= 9
    ? pc.createIndex({
        name: request.name,
        schema: { fields: { _values: { type: 'dense_vector', dimension: request.dimension, metric: request.metric } } },
        tags: request.tags,
      })
    : pc.createIndex({ ...request, spec });
const records = (list) => (major >= 7 ? { records: list } : list);
const ids = (answer) => answer.matches.map((match) => match.id);

async function refused(pattern, work) {
  await assert.rejects(work, (error) => pattern.test(`${error.name} ${error.message}`) || assert.fail(`${error}`));
}

const before = {
  async 'indexes are created, listed, described, and not twice'() {
    await create({ name, dimension: 3, metric: 'cosine', tags: { team: 'search' } });
    const described = await pc.describeIndex(name);
    assert.equal(described.name, name);
    assert.equal(described.status.ready, true);
    assert.ok((await pc.listIndexes()).indexes.some((one) => one.name === name));
    await refused(/already exists|Conflict/, () => create({ name, dimension: 3, metric: 'cosine' }));
    await refused(/not found|NotFound/i, () => pc.describeIndex('nothing'));
  },
  async 'vectors are upserted, queried, fetched'() {
    const ns = open(name).namespace('n');
    await ns.upsert(
      records([
        { id: 'a', values: [0.1, 0.2, 0.3], metadata: { genre: 'drama', year: 1994, tags: ['x', 'y'] } },
        { id: 'b', values: [0.3, 0.2, 0.1] },
        { id: 'c d/%?#', values: [1, 0, 0], metadata: { genre: 'comedy', year: 2000 } },
      ]),
    );
    const answer = await ns.query({ vector: [0.1, 0.2, 0.3], topK: 2, includeMetadata: true, includeValues: true });
    assert.deepEqual(ids(answer), ['a', 'b']);
    assert.deepEqual(answer.matches[0].metadata, { genre: 'drama', year: 1994, tags: ['x', 'y'] });
    assert.ok(Math.abs(answer.matches[0].score - 1) < 1e-4);
    const filtered = await ns.query({ vector: [1, 1, 1], topK: 9, filter: { year: { $gte: 1995 } } });
    assert.deepEqual(ids(filtered), ['c d/%?#']);
    assert.deepEqual(ids(await ns.query({ id: 'b', topK: 1 })), ['b']);
    const fetched = await ns.fetch(major >= 7 ? { ids: ['a', 'c d/%?#', 'zz'] } : ['a', 'c d/%?#', 'zz']);
    assert.deepEqual(Object.keys(fetched.records).sort(), ['a', 'c d/%?#']);
  },
  async 'records are updated, listed, counted'() {
    const ns = open(name).namespace('n');
    await ns.update({ id: 'b', metadata: { genre: 'drama' } });
    assert.equal((await ns.query({ vector: [1, 1, 1], topK: 9, filter: { genre: 'drama' } })).matches.length, 2);
    const page = await ns.listPaginated({ limit: 2 });
    assert.deepEqual(page.vectors.map((one) => one.id), ['a', 'b']);
    const next = await ns.listPaginated({ limit: 2, paginationToken: page.pagination.next });
    assert.deepEqual(next.vectors.map((one) => one.id), ['c d/%?#']);
    const stats = await open(name).describeIndexStats();
    assert.equal(stats.totalRecordCount, 3);
    assert.equal(stats.namespaces.n.recordCount, 3);
  },
  async 'the default namespace has one meaning'() {
    await open(name).upsert(records([{ id: 'e', values: [1, 1, 1] }]));
    assert.deepEqual(ids(await open(name).query({ vector: [1, 1, 1], topK: 3 })), ['e']);
    assert.equal((await open(name).describeIndexStats()).namespaces.__default__.recordCount, 1);
  },
  async 'records are fetched and updated by metadata'() {
    const ns = open(name).namespace('by');
    await ns.upsert(records([1, 2, 3].map((n) => ({ id: `m${n}`, values: [n, 1, 1], metadata: { odd: n % 2 === 1 } }))));
    const filter = { odd: true };
    const page = await ns.fetchByMetadata({ filter, limit: 1 });
    const rest = await ns.fetchByMetadata({ filter, limit: 1, paginationToken: page.pagination.next });
    assert.deepEqual([...Object.keys(page.records), ...Object.keys(rest.records)].sort(), ['m1', 'm3']);
    // This SDK has no dry run, and passes no count on.
    await ns.update({ filter, metadata: { seen: 'yes' } });
    assert.equal(Object.keys((await ns.fetchByMetadata({ filter: { seen: 'yes' } })).records).length, 2);
    await ns.deleteAll();
  },
  async 'namespaces are made, listed, described, deleted'() {
    const index = open(name);
    const made = await index.createNamespace({ name: 'made', schema: { fields: { genre: { filterable: true } } } });
    assert.equal(made.name, 'made');
    await refused(/exist|409|Conflict/i, () => index.createNamespace({ name: 'made' }));
    assert.ok((await index.listNamespaces()).namespaces.some((one) => one.name === 'made'));
    assert.equal(Number((await index.describeNamespace('made')).recordCount), 0);
    await index.deleteNamespace('made');
    await refused(/not found|404/i, () => index.describeNamespace('made'));
  },
  async 'integrated indexes embed and search'() {
    const texts = `${name}-texts`;
    const embed = { model: 'multilingual-e5-large', fieldMap: { text: 'chunk_text' } };
    await pc.createIndexForModel({ name: texts, cloud: 'aws', region: 'us-east-1', embed, waitUntilReady: true });
    const ns = open(texts).namespace('n');
    await ns.upsertRecords(
      records([
        { id: 'r1', chunk_text: 'dark beer is brewed with roasted malt', category: 'brewing' },
        { id: 'r2', chunk_text: 'the train to the coast leaves at nine', category: 'rail' },
      ]),
    );
    const query = { topK: 2, inputs: { text: 'train to the coast' } };
    const rerank = { model: 'bge-reranker-v2-m3', rankFields: ['chunk_text'], topN: 1 };
    const found = await ns.searchRecords({ query, fields: ['category'] });
    assert.deepEqual(found.result.hits.map((hit) => hit._id), ['r2', 'r1']);
    assert.deepEqual(found.result.hits[0].fields, { category: 'rail' });
    assert.deepEqual((await ns.searchRecords({ query, rerank })).result.hits.map((hit) => hit._id), ['r2']);
    await pc.deleteIndex(texts);
  },
  async 'mistakes are named'() {
    await refused(/dimension 2 does not match/, () => open(name).upsert(records([{ id: 'x', values: [1, 2] }])));
  },
  async 'records are deleted'() {
    const ns = open(name).namespace('n');
    await ns.deleteOne(major >= 7 ? { id: 'a' } : 'a');
    await ns.deleteMany(major >= 7 ? { filter: { genre: 'comedy' } } : { genre: 'comedy' });
    assert.equal((await open(name).describeIndexStats()).namespaces.n.recordCount, 1);
    await ns.deleteAll();
    assert.equal((await open(name).describeIndexStats()).namespaces.n, undefined);
  },
  async 'protection holds until it is taken away'() {
    const configure = (state) =>
      major >= 7
        ? pc.configureIndex({ name, deletionProtection: state })
        : pc.configureIndex(name, { deletionProtection: state });
    await configure('enabled');
    await refused(/Deletion protection is enabled/, () => pc.deleteIndex(name));
    await configure('disabled');
  },
  async 'texts are embedded and reranked'() {
    const request = { model: 'multilingual-e5-large', inputs: ['beer'], parameters: { inputType: 'query' } };
    const embedded = await pc.inference.embed(request);
    assert.equal(embedded.data[0].values.length, 1024);
    const ranked = await pc.inference.rerank({
      model: 'bge-reranker-v2-m3',
      query: 'dark beer',
      documents: [{ text: 'a train' }, { text: 'dark malt beer' }],
      topN: 1,
    });
    assert.deepEqual(ranked.data.map((one) => one.index), [1]);
  },
  async 'something is left behind for after the restart'() {
    await create({ name: kept, dimension: 2, metric: 'euclidean' });
    await open(kept).namespace('n').upsert(records([{ id: 'near', values: [3, 4], metadata: { k: 'v' } }]));
    await pc.deleteIndex(name);
    console.log(`host ${(await pc.describeIndex(kept)).host}`);
  },
};

const after = {
  async 'everything is there after a kill'() {
    const answer = await open(kept).namespace('n').query({ vector: [0, 0], topK: 5, includeMetadata: true });
    assert.deepEqual(ids(answer), ['near']);
    assert.equal(answer.matches[0].score, 25);
    assert.deepEqual(answer.matches[0].metadata, { k: 'v' });
    console.log(`host ${(await pc.describeIndex(kept)).host}`);
    await pc.deleteIndex(kept);
  },
  async 'wrong keys are refused'() {
    const stranger = new Pinecone({ apiKey: 'wrong-key-1', controllerHostUrl: server });
    await refused(/401|Authorization|API key/i, () => stranger.listIndexes());
  },
};

let failed = 0;
const checks = Object.entries(phase === 'before' ? before : after);
for (const [title, work] of checks) {
  try {
    await work();
    console.log(`ok     ${title}`);
  } catch (error) {
    failed += 1;
    console.log(`FAILED ${title}\n${error.stack}`);
  }
}
console.log(`@pinecone-database/pinecone ${version} ${phase}: ${checks.length - failed} of ${checks.length} checks hold`);
process.exit(failed);
