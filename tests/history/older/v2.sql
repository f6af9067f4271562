BEGIN TRANSACTION;
CREATE TABLE ids (
        task_id TEXT PRIMARY KEY,
        number INTEGER NOT NULL,
        seq INTEGER NOT NULL,
        used INTEGER NOT NULL
    ) WITHOUT ROWID;
INSERT INTO "ids" VALUES('a',2,2,1795832262483595);
INSERT INTO "ids" VALUES('b',1,1,1795832262487858);
INSERT INTO "ids" VALUES('c',1,0,1795832262491792);
INSERT INTO "ids" VALUES('d',1,0,1795832262496307);
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
INSERT INTO "runs" VALUES(1,'a5e77eeb2357092a81d80ff3d111eaa8','a','greet',1,'succeeded','exited',0,'{"name":"world"}',1,NULL,'client','',NULL,1795832262416526,1795832262474157,5,0,'','',0,NULL,1,1,'9f3c6c3bb4de','ecffa4c21bf532948c083c33bf8f8cfa',0);
INSERT INTO "runs" VALUES(2,'97c98aec2f6b405951ddc49cffefe4ab','a','greet',2,'succeeded','exited',0,'{"name":"Zoë"}',1,NULL,'client','',NULL,1795832262482430,1795832262483540,0,0,'','',0,NULL,2,2,'9f3c6c3bb4de','ecffa4c21bf532948c083c33bf8f8cfa',0);
INSERT INTO "runs" VALUES(3,'b1e59661c7a0adfe6ab26c2ea0817ad4','b','fail',1,'failed','exited',1,'{}',1,NULL,'client','',NULL,1795832262486732,1795832262487810,0,3,'','',0,NULL,1,1,'406f10399663','ecffa4c21bf532948c083c33bf8f8cfa',0);
INSERT INTO "runs" VALUES(4,'7a0234b82ecc624bd3dbaca263275a36','c','long',1,'running','',0,'{}',1,NULL,'client','',NULL,1795832262491597,NULL,NULL,NULL,'','',NULL,NULL,1,NULL,'bb25a956cd26','ecffa4c21bf532948c083c33bf8f8cfa',1);
INSERT INTO "runs" VALUES(5,'90d490e944c782f8d480b0f0ab7f734b','d','one',1,'running','',0,'{}',1,NULL,'client','',NULL,1795832262496088,NULL,NULL,NULL,'','',NULL,NULL,1,NULL,'2dae85bcffcb','ecffa4c21bf532948c083c33bf8f8cfa',1);
CREATE TABLE schedules (
        task_id TEXT PRIMARY KEY,
        since INTEGER NOT NULL,
        spans TEXT NOT NULL,
        paused INTEGER NOT NULL,
        wanted INTEGER NOT NULL,
        used INTEGER NOT NULL
    ) WITHOUT ROWID;
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
CREATE INDEX runs_by_id ON runs (id, status, reason, action, started);
CREATE INDEX runs_by_action ON runs (action, id, status, reason, started);
CREATE INDEX runs_by_task ON runs (task_id, id, status, reason, action, started);
CREATE INDEX runs_by_end ON runs (failed, ended);
CREATE INDEX runs_open ON runs (server) WHERE ended IS NULL;
CREATE INDEX runs_to_resume ON runs (server) WHERE resume;
COMMIT;
PRAGMA user_version = 2;
