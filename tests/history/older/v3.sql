BEGIN TRANSACTION;
CREATE TABLE ids (
        task_id TEXT PRIMARY KEY,
        number INTEGER NOT NULL,
        seq INTEGER NOT NULL,
        used INTEGER NOT NULL
    ) WITHOUT ROWID;
INSERT INTO "ids" VALUES('a',2,2,1795832271816413);
INSERT INTO "ids" VALUES('b',1,1,1795832271820469);
INSERT INTO "ids" VALUES('c',1,0,1795832271825494);
INSERT INTO "ids" VALUES('d',1,0,1795832271837287);
INSERT INTO "ids" VALUES('nightly',4,4,1795832275007501);
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
INSERT INTO "notices" VALUES('ops','msg_dfb5bf40cc25f41effe0b25699757539','{"event":"failure","message":"b failed: exit code 3","ts":"2026-11-28T02:17:51.820414Z","since":"2026-11-28T02:17:51.820414Z","task_id":"b","action":"fail","run_id":"8b3c16fecc11f12546a77b42484bfcb3","reason":"exited","exit_code":3,"trigger":"client","count":1,"reminder":false,"server":"sticky-overseer","id":"msg_dfb5bf40cc25f41effe0b25699757539"}',1795832271821126,2,1795832277827373,1);
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
    );
INSERT INTO "runs" VALUES(1,'ef62a25da67073908388cc6572189420','a','greet',1,'succeeded','exited',0,'{"name":"world"}',1,NULL,'client','',NULL,1795832271795140,1795832271799515,0,0,'','',0,NULL,1,1,'9f3c6c3bb4de','47d64adbcb8b79c44399f2bfd068dd07',0);
INSERT INTO "runs" VALUES(2,'e4d4b4c1f28854b24f903f36725b9d4e','a','greet',2,'succeeded','exited',0,'{"name":"Zoë"}',1,NULL,'client','',NULL,1795832271815143,1795832271816344,0,0,'','',0,NULL,2,2,'9f3c6c3bb4de','47d64adbcb8b79c44399f2bfd068dd07',0);
INSERT INTO "runs" VALUES(3,'8b3c16fecc11f12546a77b42484bfcb3','b','fail',1,'failed','exited',1,'{}',1,NULL,'client','',NULL,1795832271819440,1795832271820414,0,3,'','',0,NULL,1,1,'406f10399663','47d64adbcb8b79c44399f2bfd068dd07',0);
INSERT INTO "runs" VALUES(4,'575c7cb0a3629fa822188061757caeaf','c','long',1,'running','',0,'{}',1,NULL,'client','',NULL,1795832271825178,NULL,NULL,NULL,'','',NULL,NULL,1,NULL,'bb25a956cd26','47d64adbcb8b79c44399f2bfd068dd07',1);
INSERT INTO "runs" VALUES(5,'237ee12b7a6c76c0a03ccf4b247820a2','d','one',1,'running','',0,'{}',1,NULL,'client','',NULL,1795832271836763,NULL,NULL,NULL,'','',NULL,NULL,1,NULL,'2dae85bcffcb','47d64adbcb8b79c44399f2bfd068dd07',1);
INSERT INTO "runs" VALUES(6,'b1f69fe595ce752222f50af37d90785b','nightly','greet',1,'succeeded','exited',0,'{"name":"night"}',1,NULL,'schedule','schedule:nightly',NULL,1795832272023548,1795832272043380,0,0,'','',0,NULL,1,1,'9f3c6c3bb4de','47d64adbcb8b79c44399f2bfd068dd07',0);
INSERT INTO "runs" VALUES(7,'8b9e2afe2c3ee5ab84d96c048dc7a732','nightly','greet',2,'succeeded','exited',0,'{"name":"night"}',1,NULL,'schedule','schedule:nightly',NULL,1795832273032222,1795832273055153,22,0,'','',0,NULL,2,2,'9f3c6c3bb4de','47d64adbcb8b79c44399f2bfd068dd07',0);
INSERT INTO "runs" VALUES(8,'75a2c0dae9118074e2e87f061e7e6739','nightly','greet',3,'succeeded','exited',0,'{"name":"night"}',1,NULL,'schedule','schedule:nightly',NULL,1795832274003050,1795832274004734,0,0,'','',0,NULL,3,3,'9f3c6c3bb4de','47d64adbcb8b79c44399f2bfd068dd07',0);
INSERT INTO "runs" VALUES(9,'5b79d5b8112929f6c5dc74c9164d3580','nightly','greet',4,'succeeded','exited',0,'{"name":"night"}',1,NULL,'schedule','schedule:nightly',NULL,1795832275002459,1795832275007411,0,0,'','',0,NULL,4,4,'9f3c6c3bb4de','47d64adbcb8b79c44399f2bfd068dd07',0);
CREATE TABLE schedules (
        task_id TEXT PRIMARY KEY,
        since INTEGER NOT NULL,
        spans TEXT NOT NULL,
        paused INTEGER NOT NULL,
        wanted INTEGER NOT NULL,
        used INTEGER NOT NULL
    ) WITHOUT ROWID;
INSERT INTO "schedules" VALUES('nightly',1795832275,'[[1795832271,1795832275]]',0,1,1795832275000982);
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
INSERT INTO "slots" VALUES('nightly',1795832272,'fired','',1,1795832272042844,'');
INSERT INTO "slots" VALUES('nightly',1795832273,'fired','',1,1795832273033235,'');
INSERT INTO "slots" VALUES('nightly',1795832274,'fired','',1,1795832274004060,'');
INSERT INTO "slots" VALUES('nightly',1795832275,'fired','',1,1795832275007035,'');
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
INSERT INTO "told" VALUES('c401f72450745196','task b','failure',1795832271820414,1,1795832271820865,'{"event":"failure","message":"b failed: exit code 3","ts":"2026-11-28T02:17:51.820414Z","since":"2026-11-28T02:17:51.820414Z","task_id":"b","action":"fail","run_id":"8b3c16fecc11f12546a77b42484bfcb3","reason":"exited","exit_code":3,"trigger":"client","count":1,"reminder":false,"server":"sticky-overseer","id":""}');
CREATE INDEX runs_by_id ON runs (id, status, reason, action, started);
CREATE INDEX runs_by_action ON runs (action, id, status, reason, started);
CREATE INDEX runs_by_task ON runs (task_id, id, status, reason, action, started);
CREATE INDEX runs_by_end ON runs (failed, ended);
CREATE INDEX runs_open ON runs (server) WHERE ended IS NULL;
CREATE INDEX runs_to_resume ON runs (server) WHERE resume;
COMMIT;
PRAGMA user_version = 3;
