BEGIN TRANSACTION;
CREATE TABLE ids (
        task_id TEXT PRIMARY KEY,
        number INTEGER NOT NULL,
        seq INTEGER NOT NULL,
        used INTEGER NOT NULL
    ) WITHOUT ROWID;
INSERT INTO "ids" VALUES('a',2,2,1795832291276399);
INSERT INTO "ids" VALUES('b',1,1,1795832291288305);
INSERT INTO "ids" VALUES('c',1,0,1795832291293769);
INSERT INTO "ids" VALUES('d',1,0,1795832291298304);
INSERT INTO "ids" VALUES('nightly',3,3,1795832294014159);
CREATE TABLE intents (
        task_id TEXT PRIMARY KEY,
        intent TEXT NOT NULL
    ) WITHOUT ROWID;
CREATE TABLE notices (
        channel TEXT NOT NULL,
        id TEXT NOT NULL,
        notice TEXT NOT NULL,
        created INTEGER NOT NULL,
        attempts INTEGER NOT NULL,
        due INTEGER NOT NULL,
        holds_up INTEGER NOT NULL DEFAULT 1,
        PRIMARY KEY (channel, id)
    );
INSERT INTO "notices" VALUES('ops','msg_d1a77fe056d95b3881e8c3441fec0a03','{"event":"failure","message":"b failed: exit code 3","ts":"2026-11-28T02:18:11.288211Z","since":"2026-11-28T02:18:11.288211Z","task_id":"b","action":"fail","run_id":"dfa557a99cb0a3b3873a15d5b783e420","reason":"exited","exit_code":3,"trigger":"client","count":1,"reminder":false,"server":"sticky-overseer","id":"msg_d1a77fe056d95b3881e8c3441fec0a03"}',1795832291289036,2,1795832297297721,1);
CREATE TABLE runs (
        id INTEGER PRIMARY KEY,
        run_id TEXT NOT NULL UNIQUE,
        task_id TEXT NOT NULL,
        action TEXT NOT NULL,
        number INTEGER NOT NULL,
        status TEXT NOT NULL,
        reason TEXT NOT NULL,
        failed INTEGER NOT NULL,
        params TEXT NOT NULL,
        complete INTEGER NOT NULL,
        policy TEXT,
        trigger_type TEXT NOT NULL,
        trigger_by TEXT NOT NULL,
        queued INTEGER,
        started INTEGER NOT NULL,
        ended INTEGER,
        duration_ms INTEGER,
        exit_code INTEGER,
        signal TEXT NOT NULL DEFAULT '',
        error TEXT NOT NULL DEFAULT '',
        cpu_ms INTEGER,
        max_rss INTEGER,
        first_seq INTEGER NOT NULL,
        last_seq INTEGER,
        definition TEXT NOT NULL,
        server TEXT NOT NULL,
        resume INTEGER NOT NULL
    , host TEXT NOT NULL DEFAULT '');
INSERT INTO "runs" VALUES(1,'67da23230b3f662a37b33e2b17742dc9','a','greet',1,'succeeded','exited',0,'{"name":"world"}',1,NULL,'client','',NULL,1795832291200668,1795832291215799,1,0,'','',0,NULL,1,1,'9f3c6c3bb4de','b456b1810f65fd10f3cc91a68ed5c5ab',0,'');
INSERT INTO "runs" VALUES(2,'53b12cb253252f5ee2aca04a84e03353','a','greet',2,'succeeded','exited',0,'{"name":"Zoë"}',1,NULL,'client','',NULL,1795832291263376,1795832291276249,2,0,'','',0,NULL,2,2,'9f3c6c3bb4de','b456b1810f65fd10f3cc91a68ed5c5ab',0,'');
INSERT INTO "runs" VALUES(3,'dfa557a99cb0a3b3873a15d5b783e420','b','fail',1,'failed','exited',1,'{}',1,NULL,'client','',NULL,1795832291286325,1795832291288211,1,3,'','',0,NULL,1,1,'406f10399663','b456b1810f65fd10f3cc91a68ed5c5ab',0,'');
INSERT INTO "runs" VALUES(4,'aae154e979ee45052c0e997cb9fcc982','c','long',1,'running','',0,'{}',1,NULL,'client','',NULL,1795832291293426,NULL,NULL,NULL,'','',NULL,NULL,1,NULL,'bb25a956cd26','b456b1810f65fd10f3cc91a68ed5c5ab',1,'');
INSERT INTO "runs" VALUES(5,'cec9e11e9376e240e3cf79ac323c2c46','d','one',1,'running','',0,'{}',1,NULL,'client','',NULL,1795832291298120,NULL,NULL,NULL,'','',NULL,NULL,1,NULL,'2dae85bcffcb','b456b1810f65fd10f3cc91a68ed5c5ab',1,'');
INSERT INTO "runs" VALUES(6,'190c92d64306ac608ee84491d894f236','nightly','greet',1,'succeeded','exited',0,'{"name":"night"}',1,NULL,'schedule','schedule:nightly',NULL,1795832292005772,1795832292007117,0,0,'','',0,NULL,1,1,'9f3c6c3bb4de','b456b1810f65fd10f3cc91a68ed5c5ab',0,'');
INSERT INTO "runs" VALUES(7,'7b78cbb9cb255bd8a1634d7913242d5f','nightly','greet',2,'succeeded','exited',0,'{"name":"night"}',1,NULL,'schedule','schedule:nightly',NULL,1795832293008721,1795832293010955,0,0,'','',0,NULL,2,2,'9f3c6c3bb4de','b456b1810f65fd10f3cc91a68ed5c5ab',0,'');
INSERT INTO "runs" VALUES(8,'fb41d48b0b934b82a66b82fc95badff7','nightly','greet',3,'succeeded','exited',0,'{"name":"night"}',1,NULL,'schedule','schedule:nightly',NULL,1795832294010686,1795832294013097,2,0,'','',0,NULL,3,3,'9f3c6c3bb4de','b456b1810f65fd10f3cc91a68ed5c5ab',0,'');
CREATE TABLE schedules (
        task_id TEXT PRIMARY KEY,
        since INTEGER NOT NULL,
        spans TEXT NOT NULL,
        paused INTEGER NOT NULL,
        wanted INTEGER NOT NULL,
        used INTEGER NOT NULL
    ) WITHOUT ROWID;
INSERT INTO "schedules" VALUES('nightly',1795832294,'[[1795832291,1795832294]]',0,1,1795832294003623);
CREATE TABLE slots (
        task_id TEXT NOT NULL,
        slot INTEGER NOT NULL,
        outcome TEXT NOT NULL,
        reason TEXT NOT NULL,
        number INTEGER NOT NULL,
        at INTEGER NOT NULL,
        detail TEXT NOT NULL,
        PRIMARY KEY (task_id, slot)
    ) WITHOUT ROWID;
INSERT INTO "slots" VALUES('nightly',1795832292,'fired','',1,1795832292006698,'');
INSERT INTO "slots" VALUES('nightly',1795832293,'fired','',1,1795832293010567,'');
INSERT INTO "slots" VALUES('nightly',1795832294,'fired','',1,1795832294011728,'');
CREATE TABLE told (
        rule TEXT NOT NULL,
        subject TEXT NOT NULL,
        kind TEXT NOT NULL,
        since INTEGER NOT NULL,
        count INTEGER NOT NULL,
        told INTEGER NOT NULL,
        notice TEXT NOT NULL,
        PRIMARY KEY (rule, subject, kind)
    ) WITHOUT ROWID;
INSERT INTO "told" VALUES('c401f72450745196','task b','failure',1795832291288211,1,1795832291288903,'{"event":"failure","message":"b failed: exit code 3","ts":"2026-11-28T02:18:11.288211Z","since":"2026-11-28T02:18:11.288211Z","task_id":"b","action":"fail","run_id":"dfa557a99cb0a3b3873a15d5b783e420","reason":"exited","exit_code":3,"trigger":"client","count":1,"reminder":false,"server":"sticky-overseer","id":""}');
CREATE INDEX runs_by_id ON runs (id, status, reason, action, started);
CREATE INDEX runs_by_action ON runs (action, id, status, reason, started);
CREATE INDEX runs_by_task ON runs (task_id, id, status, reason, action, started);
CREATE INDEX runs_by_end ON runs (failed, ended);
CREATE INDEX runs_open ON runs (server) WHERE ended IS NULL;
CREATE INDEX runs_to_resume ON runs (server) WHERE resume;
COMMIT;
PRAGMA user_version = 5;
