BEGIN TRANSACTION;
CREATE TABLE ids (
        task_id TEXT PRIMARY KEY,
        number INTEGER NOT NULL,
        seq INTEGER NOT NULL,
        used INTEGER NOT NULL
    ) WITHOUT ROWID;
INSERT INTO "ids" VALUES('a',2,2,1795832280869231);
INSERT INTO "ids" VALUES('b',1,1,1795832280917196);
INSERT INTO "ids" VALUES('c',1,0,1795832280931194);
INSERT INTO "ids" VALUES('d',1,0,1795832280937132);
INSERT INTO "ids" VALUES('nightly',4,4,1795832284008223);
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
INSERT INTO "notices" VALUES('ops','msg_17701e34dbed1b71e264b9e1d2ec1479','{"event":"failure","message":"b failed: exit code 3","ts":"2026-11-28T02:18:00.917076Z","since":"2026-11-28T02:18:00.917076Z","task_id":"b","action":"fail","run_id":"984f2fad71b3dd2979c7dee6aab1f79f","reason":"exited","exit_code":3,"trigger":"client","count":1,"reminder":false,"server":"sticky-overseer","id":"msg_17701e34dbed1b71e264b9e1d2ec1479"}',1795832280918257,2,1795832286960833,1);
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
INSERT INTO "runs" VALUES(1,'f4d1a25b5afde2f8b237e71690665fce','a','greet',1,'succeeded','exited',0,'{"name":"world"}',1,NULL,'client','',NULL,1795832280863072,1795832280865095,1,0,'','',0,NULL,1,1,'9f3c6c3bb4de','76e1878bd1813c12b9cd406c0b40f38e',0);
INSERT INTO "runs" VALUES(2,'ba88c00897a801ea4b8e7fad02435ac5','a','greet',2,'succeeded','exited',0,'{"name":"Zoë"}',1,NULL,'client','',NULL,1795832280868230,1795832280869167,0,0,'','',0,NULL,2,2,'9f3c6c3bb4de','76e1878bd1813c12b9cd406c0b40f38e',0);
INSERT INTO "runs" VALUES(3,'984f2fad71b3dd2979c7dee6aab1f79f','b','fail',1,'failed','exited',1,'{}',1,NULL,'client','',NULL,1795832280915256,1795832280917076,0,3,'','',0,NULL,1,1,'406f10399663','76e1878bd1813c12b9cd406c0b40f38e',0);
INSERT INTO "runs" VALUES(4,'e2f810c5420e4e012c9bb79fbde75301','c','long',1,'running','',0,'{}',1,NULL,'client','',NULL,1795832280930933,NULL,NULL,NULL,'','',NULL,NULL,1,NULL,'bb25a956cd26','76e1878bd1813c12b9cd406c0b40f38e',1);
INSERT INTO "runs" VALUES(5,'3747939ee5d36dc745785797fb35f8be','d','one',1,'running','',0,'{}',1,NULL,'client','',NULL,1795832280936886,NULL,NULL,NULL,'','',NULL,NULL,1,NULL,'2dae85bcffcb','76e1878bd1813c12b9cd406c0b40f38e',1);
INSERT INTO "runs" VALUES(6,'b2800dc752ef26050a019ceebc4e3298','nightly','greet',1,'succeeded','exited',0,'{"name":"night"}',1,NULL,'schedule','schedule:nightly',NULL,1795832281006710,1795832281010682,3,0,'','',0,NULL,1,1,'9f3c6c3bb4de','76e1878bd1813c12b9cd406c0b40f38e',0);
INSERT INTO "runs" VALUES(7,'70f8449c406d536d292ec84c45bd4032','nightly','greet',2,'succeeded','exited',0,'{"name":"night"}',1,NULL,'schedule','schedule:nightly',NULL,1795832282040900,1795832282042245,0,0,'','',1,NULL,2,2,'9f3c6c3bb4de','76e1878bd1813c12b9cd406c0b40f38e',0);
INSERT INTO "runs" VALUES(8,'127cfe66312ab27ebce0df554be87b2f','nightly','greet',3,'succeeded','exited',0,'{"name":"night"}',1,NULL,'schedule','schedule:nightly',NULL,1795832283003089,1795832283004146,0,0,'','',0,NULL,3,3,'9f3c6c3bb4de','76e1878bd1813c12b9cd406c0b40f38e',0);
INSERT INTO "runs" VALUES(9,'e7250082f505ea2cdced1595dba786b8','nightly','greet',4,'succeeded','exited',0,'{"name":"night"}',1,NULL,'schedule','schedule:nightly',NULL,1795832284007034,1795832284008133,0,0,'','',0,NULL,4,4,'9f3c6c3bb4de','76e1878bd1813c12b9cd406c0b40f38e',0);
CREATE TABLE schedules (
        task_id TEXT PRIMARY KEY,
        since INTEGER NOT NULL,
        spans TEXT NOT NULL,
        paused INTEGER NOT NULL,
        wanted INTEGER NOT NULL,
        used INTEGER NOT NULL
    ) WITHOUT ROWID;
INSERT INTO "schedules" VALUES('nightly',1795832284,'[[1795832280,1795832284]]',0,1,1795832284004061);
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
INSERT INTO "slots" VALUES('nightly',1795832281,'fired','',1,1795832281007712,'');
INSERT INTO "slots" VALUES('nightly',1795832282,'fired','',1,1795832282041779,'');
INSERT INTO "slots" VALUES('nightly',1795832283,'fired','',1,1795832283003867,'');
INSERT INTO "slots" VALUES('nightly',1795832284,'fired','',1,1795832284007827,'');
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
INSERT INTO "told" VALUES('c401f72450745196','task b','failure',1795832280917076,1,1795832280918139,'{"event":"failure","message":"b failed: exit code 3","ts":"2026-11-28T02:18:00.917076Z","since":"2026-11-28T02:18:00.917076Z","task_id":"b","action":"fail","run_id":"984f2fad71b3dd2979c7dee6aab1f79f","reason":"exited","exit_code":3,"trigger":"client","count":1,"reminder":false,"server":"sticky-overseer","id":""}');
CREATE INDEX runs_by_id ON runs (id, status, reason, action, started);
CREATE INDEX runs_by_action ON runs (action, id, status, reason, started);
CREATE INDEX runs_by_task ON runs (task_id, id, status, reason, action, started);
CREATE INDEX runs_by_end ON runs (failed, ended);
CREATE INDEX runs_open ON runs (server) WHERE ended IS NULL;
CREATE INDEX runs_to_resume ON runs (server) WHERE resume;
COMMIT;
PRAGMA user_version = 4;
