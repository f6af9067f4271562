BEGIN TRANSACTION;
CREATE TABLE ids (
        task_id TEXT PRIMARY KEY,
        number INTEGER NOT NULL,
        seq INTEGER NOT NULL,
        used INTEGER NOT NULL
    ) WITHOUT ROWID;
INSERT INTO "ids" VALUES('a',2,2,1795832253672497);
INSERT INTO "ids" VALUES('b',1,1,1795832253678502);
INSERT INTO "ids" VALUES('c',1,10001,1795832253682505);
INSERT INTO "ids" VALUES('d',1,10000,1795832253686651);
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
INSERT INTO "runs" VALUES(1,'bf4206e9f59b4b979f04b225ef7f29eb','a','greet',1,'succeeded','exited',0,'{"name":"world"}',1,NULL,'client','',NULL,1795832253611877,1795832253667208,54,0,'','',NULL,NULL,1,1,'9f3c6c3bb4de','4fe9d8f4fb504ecc97cd8d8c34d6faad',0);
INSERT INTO "runs" VALUES(2,'8cd22f7d0a98484cadb1c87081703d4e','a','greet',2,'succeeded','exited',0,'{"name":"Zoë"}',1,NULL,'client','',NULL,1795832253670392,1795832253672402,0,0,'','',NULL,NULL,2,2,'9f3c6c3bb4de','4fe9d8f4fb504ecc97cd8d8c34d6faad',0);
INSERT INTO "runs" VALUES(3,'1e171febaf044b0d81c644824ff440d4','b','fail',1,'failed','exited',1,'{}',1,NULL,'client','',NULL,1795832253676478,1795832253678441,0,3,'','',NULL,NULL,1,1,'406f10399663','4fe9d8f4fb504ecc97cd8d8c34d6faad',0);
INSERT INTO "runs" VALUES(4,'59bb62385de64725957307c481b2f09f','c','long',1,'running','',0,'{}',1,NULL,'client','',NULL,1795832253681538,NULL,NULL,NULL,'','',NULL,NULL,1,NULL,'bb25a956cd26','4fe9d8f4fb504ecc97cd8d8c34d6faad',1);
INSERT INTO "runs" VALUES(5,'31e849bce87042a0af7ef95a9df408db','d','one',1,'running','',0,'{}',1,NULL,'client','',NULL,1795832253686385,NULL,NULL,NULL,'','',NULL,NULL,1,NULL,'2dae85bcffcb','4fe9d8f4fb504ecc97cd8d8c34d6faad',1);
CREATE INDEX runs_by_id ON runs (id, status, reason, action, started);
CREATE INDEX runs_by_action ON runs (action, id, status, reason, started);
CREATE INDEX runs_by_task ON runs (task_id, id, status, reason, action, started);
CREATE INDEX runs_by_end ON runs (failed, ended);
CREATE INDEX runs_open ON runs (server) WHERE ended IS NULL;
CREATE INDEX runs_to_resume ON runs (server) WHERE resume;
COMMIT;
PRAGMA user_version = 1;
