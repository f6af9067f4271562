BEGIN TRANSACTION;
CREATE TABLE ids (
        task_id TEXT PRIMARY KEY,
        number INTEGER NOT NULL,
        seq INTEGER NOT NULL,
        used INTEGER NOT NULL
    ) WITHOUT ROWID;
INSERT INTO "ids" VALUES('a',2,2,1795832307674197);
INSERT INTO "ids" VALUES('b',1,1,1795832307685002);
INSERT INTO "ids" VALUES('c',1,0,1795832307688848);
INSERT INTO "ids" VALUES('d',1,0,1795832307692290);
INSERT INTO "ids" VALUES('nightly',3,3,1795832310008981);
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
INSERT INTO "notices" VALUES('ops','msg_72862285e63a8b558da56cf02cd99b9f','{"event":"failure","message":"b failed: exit code 3","ts":"2026-11-28T02:18:27.684863Z","since":"2026-11-28T02:18:27.684863Z","task_id":"b","action":"fail","run_id":"2cbc49603cd6accdea00dc012e69c175","reason":"exited","exit_code":3,"trigger":"client","count":1,"reminder":false,"server":"sticky-overseer","id":"msg_72862285e63a8b558da56cf02cd99b9f"}',1795832307686683,2,1795832313779852,1);
CREATE TABLE owed (
        id INTEGER PRIMARY KEY,
        run_id TEXT NOT NULL,
        room TEXT NOT NULL,
        change TEXT NOT NULL,
        server TEXT NOT NULL,
        UNIQUE (run_id, room)
    );
CREATE TABLE queued (
        id INTEGER PRIMARY KEY,
        task_id TEXT NOT NULL UNIQUE,
        run_id TEXT NOT NULL,
        action TEXT NOT NULL,
        params TEXT NOT NULL,
        complete INTEGER NOT NULL,
        policy TEXT,
        trigger_type TEXT NOT NULL,
        trigger_by TEXT NOT NULL,
        queued INTEGER NOT NULL,
        definition TEXT NOT NULL,
        server TEXT NOT NULL
    );
INSERT INTO "queued" VALUES(1,'e','7956d177e7a31329288f3107394acbc7','one','{}',1,NULL,'client','',1795832307692975,'2dae85bcffcb','6bacf03f08570bf1ee1a8dfe1c777a2d');
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
INSERT INTO "runs" VALUES(1,'81bbbddc6fef8cce407d68b17055fd99','a','greet',1,'succeeded','exited',0,'{"name":"world"}',1,NULL,'client','',NULL,1795832307663114,1795832307665324,1,0,'','',0,NULL,1,1,'9f3c6c3bb4de','6bacf03f08570bf1ee1a8dfe1c777a2d',0,'');
INSERT INTO "runs" VALUES(2,'25aa5146f4b44ad6cc82cb852d9f4d91','a','greet',2,'succeeded','exited',0,'{"name":"Zoë"}',1,NULL,'client','',NULL,1795832307670992,1795832307673959,2,0,'','',0,NULL,2,2,'9f3c6c3bb4de','6bacf03f08570bf1ee1a8dfe1c777a2d',0,'');
INSERT INTO "runs" VALUES(3,'2cbc49603cd6accdea00dc012e69c175','b','fail',1,'failed','exited',1,'{}',1,NULL,'client','',NULL,1795832307683011,1795832307684863,1,3,'','',0,NULL,1,1,'406f10399663','6bacf03f08570bf1ee1a8dfe1c777a2d',0,'');
INSERT INTO "runs" VALUES(4,'f349a3bfdcde7542317bea79cd8fcf0e','c','long',1,'running','',0,'{}',1,NULL,'client','',NULL,1795832307688679,NULL,NULL,NULL,'','',NULL,NULL,1,NULL,'bb25a956cd26','6bacf03f08570bf1ee1a8dfe1c777a2d',1,'');
INSERT INTO "runs" VALUES(5,'1b3394826c90149d18e67bd922485c3b','d','one',1,'running','',0,'{}',1,NULL,'client','',NULL,1795832307692118,NULL,NULL,NULL,'','',NULL,NULL,1,NULL,'2dae85bcffcb','6bacf03f08570bf1ee1a8dfe1c777a2d',1,'');
INSERT INTO "runs" VALUES(6,'bfddb58b47eca7755784c349825d88e6','nightly','greet',1,'succeeded','exited',0,'{"name":"night"}',1,NULL,'schedule','schedule:nightly',NULL,1795832308013224,1795832308015037,1,0,'','',0,NULL,1,1,'9f3c6c3bb4de','6bacf03f08570bf1ee1a8dfe1c777a2d',0,'');
INSERT INTO "runs" VALUES(7,'b0489037b19828b33bae8e1e1395f8e6','nightly','greet',2,'succeeded','exited',0,'{"name":"night"}',1,NULL,'schedule','schedule:nightly',NULL,1795832309351141,1795832309479561,114,0,'','',0,NULL,2,2,'9f3c6c3bb4de','6bacf03f08570bf1ee1a8dfe1c777a2d',0,'');
INSERT INTO "runs" VALUES(8,'bca3600b58df8b0929a93adac8ec893f','nightly','greet',3,'succeeded','exited',0,'{"name":"night"}',1,NULL,'schedule','schedule:nightly',NULL,1795832310004445,1795832310008791,0,0,'','',0,NULL,3,3,'9f3c6c3bb4de','6bacf03f08570bf1ee1a8dfe1c777a2d',0,'');
CREATE TABLE schedules (
        task_id TEXT PRIMARY KEY,
        since INTEGER NOT NULL,
        spans TEXT NOT NULL,
        paused INTEGER NOT NULL,
        wanted INTEGER NOT NULL,
        used INTEGER NOT NULL
    ) WITHOUT ROWID;
INSERT INTO "schedules" VALUES('nightly',1795832310,'[[1795832307,1795832310]]',0,1,1795832310000974);
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
INSERT INTO "slots" VALUES('nightly',1795832308,'fired','',1,1795832308014190,'');
INSERT INTO "slots" VALUES('nightly',1795832309,'fired','',1,1795832309478691,'');
INSERT INTO "slots" VALUES('nightly',1795832310,'fired','',1,1795832310008298,'');
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
INSERT INTO "told" VALUES('c401f72450745196','task b','failure',1795832307684863,1,1795832307686604,'{"event":"failure","message":"b failed: exit code 3","ts":"2026-11-28T02:18:27.684863Z","since":"2026-11-28T02:18:27.684863Z","task_id":"b","action":"fail","run_id":"2cbc49603cd6accdea00dc012e69c175","reason":"exited","exit_code":3,"trigger":"client","count":1,"reminder":false,"server":"sticky-overseer","id":""}');
CREATE INDEX runs_by_id ON runs (id, status, reason, action, started);
CREATE INDEX runs_by_action ON runs (action, id, status, reason, started);
CREATE INDEX runs_by_task ON runs (task_id, id, status, reason, action, started);
CREATE INDEX runs_by_end ON runs (failed, ended);
CREATE INDEX runs_open ON runs (server) WHERE ended IS NULL;
CREATE INDEX runs_to_resume ON runs (server) WHERE resume;
COMMIT;
PRAGMA user_version = 7;
