BEGIN TRANSACTION;
CREATE TABLE ids (
        task_id TEXT PRIMARY KEY,
        number INTEGER NOT NULL,
        seq INTEGER NOT NULL,
        used INTEGER NOT NULL
    ) WITHOUT ROWID;
INSERT INTO "ids" VALUES('a',2,2,1795832299620273);
INSERT INTO "ids" VALUES('b',1,1,1795832299638765);
INSERT INTO "ids" VALUES('c',1,0,1795832299645295);
INSERT INTO "ids" VALUES('d',1,0,1795832299648098);
INSERT INTO "ids" VALUES('nightly',3,3,1795832302024052);
CREATE TABLE intents (
        task_id TEXT PRIMARY KEY,
        intent TEXT NOT NULL
    , place INTEGER NOT NULL DEFAULT 0) WITHOUT ROWID;
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
INSERT INTO "notices" VALUES('ops','msg_b236f436975d53cf50b18154d1cfd874','{"event":"failure","message":"b failed: exit code 3","ts":"2026-11-28T02:18:19.638645Z","since":"2026-11-28T02:18:19.638645Z","task_id":"b","action":"fail","run_id":"46ae31be88e5230f39c02d629ac45b23","reason":"exited","exit_code":3,"trigger":"client","count":1,"reminder":false,"server":"sticky-overseer","id":"msg_b236f436975d53cf50b18154d1cfd874"}',1795832299639680,2,1795832305655102,1);
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
INSERT INTO "runs" VALUES(1,'7cadd108cffa9c95f91da33324369985','a','greet',1,'succeeded','exited',0,'{"name":"world"}',1,NULL,'client','',NULL,1795832299602099,1795832299615249,5,0,'','',0,NULL,1,1,'9f3c6c3bb4de','ff82772ba0451ace4f2864bfab665fe0',0,'');
INSERT INTO "runs" VALUES(2,'b54c291c720b98893fb8667f07e4fd80','a','greet',2,'succeeded','exited',0,'{"name":"Zoë"}',1,NULL,'client','',NULL,1795832299619221,1795832299620201,0,0,'','',0,NULL,2,2,'9f3c6c3bb4de','ff82772ba0451ace4f2864bfab665fe0',0,'');
INSERT INTO "runs" VALUES(3,'46ae31be88e5230f39c02d629ac45b23','b','fail',1,'failed','exited',1,'{}',1,NULL,'client','',NULL,1795832299630301,1795832299638645,7,3,'','',0,NULL,1,1,'406f10399663','ff82772ba0451ace4f2864bfab665fe0',0,'');
INSERT INTO "runs" VALUES(4,'200ec6ea5c2bd8eb967edb452229f220','c','long',1,'running','',0,'{}',1,NULL,'client','',NULL,1795832299645071,NULL,NULL,NULL,'','',NULL,NULL,1,NULL,'bb25a956cd26','ff82772ba0451ace4f2864bfab665fe0',1,'');
INSERT INTO "runs" VALUES(5,'c48f6139a7ac0b30e410920405df2551','d','one',1,'running','',0,'{}',1,NULL,'client','',NULL,1795832299647929,NULL,NULL,NULL,'','',NULL,NULL,1,NULL,'2dae85bcffcb','ff82772ba0451ace4f2864bfab665fe0',1,'');
INSERT INTO "runs" VALUES(6,'575eda3de45ea95450e29d978c583d1c','nightly','greet',1,'succeeded','exited',0,'{"name":"night"}',1,NULL,'schedule','schedule:nightly',NULL,1795832300067403,1795832300070464,0,0,'','',0,NULL,1,1,'9f3c6c3bb4de','ff82772ba0451ace4f2864bfab665fe0',0,'');
INSERT INTO "runs" VALUES(7,'2d62d3de4ff3cb386e19c338dae5c3f6','nightly','greet',2,'succeeded','exited',0,'{"name":"night"}',1,NULL,'schedule','schedule:nightly',NULL,1795832301067862,1795832301073580,5,0,'','',0,NULL,2,2,'9f3c6c3bb4de','ff82772ba0451ace4f2864bfab665fe0',0,'');
INSERT INTO "runs" VALUES(8,'1657633a21ebd62158ea4e937354775f','nightly','greet',3,'succeeded','exited',0,'{"name":"night"}',1,NULL,'schedule','schedule:nightly',NULL,1795832302022794,1795832302023952,0,0,'','',0,NULL,3,3,'9f3c6c3bb4de','ff82772ba0451ace4f2864bfab665fe0',0,'');
CREATE TABLE schedules (
        task_id TEXT PRIMARY KEY,
        since INTEGER NOT NULL,
        spans TEXT NOT NULL,
        paused INTEGER NOT NULL,
        wanted INTEGER NOT NULL,
        used INTEGER NOT NULL
    ) WITHOUT ROWID;
INSERT INTO "schedules" VALUES('nightly',1795832302,'[[1795832299,1795832302]]',0,1,1795832302000427);
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
INSERT INTO "slots" VALUES('nightly',1795832300,'fired','',1,1795832300069773,'');
INSERT INTO "slots" VALUES('nightly',1795832301,'fired','',1,1795832301068615,'');
INSERT INTO "slots" VALUES('nightly',1795832302,'fired','',1,1795832302024109,'');
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
INSERT INTO "told" VALUES('c401f72450745196','task b','failure',1795832299638645,1,1795832299639568,'{"event":"failure","message":"b failed: exit code 3","ts":"2026-11-28T02:18:19.638645Z","since":"2026-11-28T02:18:19.638645Z","task_id":"b","action":"fail","run_id":"46ae31be88e5230f39c02d629ac45b23","reason":"exited","exit_code":3,"trigger":"client","count":1,"reminder":false,"server":"sticky-overseer","id":""}');
CREATE INDEX runs_by_id ON runs (id, status, reason, action, started);
CREATE INDEX runs_by_action ON runs (action, id, status, reason, started);
CREATE INDEX runs_by_task ON runs (task_id, id, status, reason, action, started);
CREATE INDEX runs_by_end ON runs (failed, ended);
CREATE INDEX runs_open ON runs (server) WHERE ended IS NULL;
CREATE INDEX runs_to_resume ON runs (server) WHERE resume;
COMMIT;
PRAGMA user_version = 6;
