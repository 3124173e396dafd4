# SPDX-License-Identifier: Apache-2.0
"""The real programs that a world's hosts run.

Each kind is a function (step, host, options).  Steps: 'files' writes configuration and makes keys,
'servers' starts what listens and waits until it does, 'clients' starts what talks."""
import glob
import os
import pathlib
import shutil

from labkit.system import ROOT, LabError, run

STEPS = ("files", "servers", "clients")
MODBUS = ROOT / "lab" / "modbus"


def install(host, source, target, mode=0o755):
    """A copy of a machine's file inside the host: a program file of its own."""
    path = host.path(target)
    path.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(source, path)
    path.chmod(mode)
    return path


def write(host, target, text, mode=0o644):
    path = host.path(target)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(mode)


def modbus_tool(host, name):
    """A program of lab/modbus inside the host, where all of its users may read it; returns its path there."""
    for file in ("wire.py", name):
        if not host.path(f"/opt/modbus/{file}").exists():
            install(host, MODBUS / file, f"/opt/modbus/{file}", 0o644)
    return f"/opt/modbus/{name}"


def postgres_bin():
    found = sorted(glob.glob("/usr/lib/postgresql/*/bin/postgres"))
    if not found:
        raise LabError("PostgreSQL is not installed; `make deps` installs what the lab needs")
    return pathlib.Path(found[-1]).parent


NGINX = """\
daemon off;
user www-data;
worker_processes 1;
pid /run/nginx.pid;
error_log /var/log/nginx-error.log;
events {{ worker_connections 512; }}
http {{
    access_log /var/log/nginx-access.log;
    client_body_temp_path /run/nginx-body;
    proxy_temp_path /run/nginx-proxy;
    fastcgi_temp_path /run/nginx-fastcgi;
    uwsgi_temp_path /run/nginx-uwsgi;
    scgi_temp_path /run/nginx-scgi;
    default_type text/plain;
    server {{
        {listen}
        ssl_certificate /opt/web/cert.pem;
        ssl_certificate_key /opt/web/key.pem;
        root /opt/web/files;
        location /slow/ {{ limit_rate 20k; }}
    }}
}}
"""


def web(step, host, options):
    """nginx on 80 and 443 with a certificate of its own making, or on 'ports' (443 means TLS).
    What lies in slow/ is sent at 20 kB a second, for sessions that last."""
    ports = options.get("ports", [80, 443])
    if step == "files":
        write(host, "/opt/web/files/index.html", f"This is {host.name}.\n")
        for name, text in (options.get("files") or {}).items():
            write(host, f"/opt/web/files/{name}", text)
        folder = host.path("/opt/web")
        run("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
            "-nodes", "-days", "30", "-subj", f"/CN={host.name}", "-keyout", folder / "key.pem",
            "-out", folder / "cert.pem")
        listen = "\n        ".join(f"listen {a}{p}{' ssl' if p == 443 else ''};"
                                   for p in ports for a in ("", "[::]:"))
        write(host, "/opt/web/nginx.conf", NGINX.format(listen=listen))
    elif step == "servers":
        host.start("nginx", ["/usr/sbin/nginx", "-c", "/opt/web/nginx.conf", "-e", "stderr"],
                   ready=lambda: all(host.listens(p) for p in ports))


def postgres(step, host, options):
    """A private PostgreSQL cluster on TCP 5432, v4 and v6.  Trust authentication: inside the lab
    the network policy is the subject, not passwords."""
    bin_dir = postgres_bin()
    if step == "files":
        host.run("/usr/bin/install", "-d", "-o", "postgres", "-m", "700", "/opt/db")
        host.run(bin_dir / "initdb", "-D", "/opt/db", "-A", "trust", "-E", "UTF8", "--locale=C",
                 "--no-sync", user="postgres")
        path = host.path("/opt/db")
        with open(path / "pg_hba.conf", "a") as f:
            f.write("host all all 0.0.0.0/0 trust\nhost all all ::/0 trust\n")
        with open(path / "postgresql.conf", "a") as f:
            f.write("listen_addresses = '*'\nport = 5432\nfsync = off\n"
                    "unix_socket_directories = '/tmp'\nshared_buffers = 16MB\n"
                    "dynamic_shared_memory_type = mmap\n")
    elif step == "servers":
        name = options["database"]
        ready = [bin_dir / "psql", "-h", "/tmp", "-U", "postgres", "-qtAc"]
        host.start("postgres", [bin_dir / "postgres", "-D", "/opt/db"], user="postgres",
                   ready=lambda: host.run(*ready, "select 1", check=False).returncode == 0)
        host.run(*ready, f'create role "{name}" login')
        host.run(*ready, f'create database "{name}" owner "{name}"')
        host.run(bin_dir / "psql", "-h", "/tmp", "-U", name, "-d", name, "-qtAc",
                 "create table orders (id serial primary key, at timestamptz default now())")


def orders(step, host, options):
    """The shop's own program: PostgreSQL's client as a file of its own, which writes about one
    order a second over one connection and connects again when it is cut."""
    database = options["database"]
    if step == "files":
        install(host, postgres_bin() / "psql", "/opt/shop/bin/orders")
        write(host, "/opt/shop/orders.sql",
              "insert into orders default values returning id \\watch 1\n")
        write(host, "/opt/shop/bin/run",
              "#!/bin/sh\nwhile :; do\n"
              f"    PGCONNECT_TIMEOUT=3 /opt/shop/bin/orders -X -qtA -h {database} -U shop -d shop "
              "-f /opt/shop/orders.sql\n    sleep 1\ndone\n", 0o755)
    elif step == "clients":
        log = host.path("/var/log/orders.log")
        host.start("orders", ["/opt/shop/bin/run"], user="www-data",
                   ready=lambda: log.read_text().strip() != "")


def till(step, host, options):
    """A point of sale that fetches its prices by https about once a second."""
    if step == "files":
        write(host, "/opt/pos/run",
              "#!/bin/sh\nwhile :; do\n"
              f"    curl -sk -m 10 -o /dev/null -w '%{{http_code}}\\n' https://{options['server']}/\n"
              "    sleep 1\ndone\n", 0o755)
    elif step == "clients":
        log = host.path("/var/log/till.log")
        host.start("till", ["/opt/pos/run"], user="www-data",
                   ready=lambda: "200" in log.read_text())


def share(step, host, options):
    """Files that somebody shares from an office PC, by http on 8080."""
    port = options.get("port", 8080)
    if step == "files":
        write(host, "/home/share/budget.txt", f"The budget of {host.name}.\n")
    elif step == "servers":
        host.start("share", ["/usr/bin/python3", "-m", "http.server", "--bind", "::",
                             "--directory", "/home/share", port], user="nobody",
                   ready=lambda: host.listens(port))


SSHD = """\
Port 22
HostKey /opt/ssh/host_key
PidFile /run/sshd.pid
UsePAM no
PasswordAuthentication no
AuthorizedKeysFile /opt/ssh/%u.pub
StrictModes no
"""


def sshd(step, host, options):
    """OpenSSH with one key for each of 'users', which lies in their homes on 'clients'."""
    users = options.get("users") or list(host.lab.world.users)
    if step == "files":
        folder = host.path("/opt/ssh")
        folder.mkdir(parents=True, exist_ok=True)
        host.path("/run/sshd").mkdir(exist_ok=True)
        run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", folder / "host_key")
        write(host, "/opt/ssh/sshd_config", SSHD)
        for user in users:
            shutil.copyfile(user_key(host.lab, user).with_suffix(".pub"), folder / f"{user}.pub")
            give_key(host, user)
    elif step == "servers":
        host.start("sshd", ["/usr/sbin/sshd", "-D", "-e", "-f", "/opt/ssh/sshd_config"],
                   ready=lambda: host.listens(22))


def user_key(lab, user):
    """The private key of a user of this world, made when first asked for."""
    path = lab.folder / "keys" / user
    if not path.exists():
        path.parent.mkdir(exist_ok=True)
        run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", user, "-f", path)
    return path


def give_key(host, user):
    """~/.ssh of a user: the key, and no questions about the lab's host keys."""
    identity = host.user(user)
    folder = host.path(identity.pw_dir) / ".ssh"
    folder.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(user_key(host.lab, user), folder / "id_ed25519")
    (folder / "config").write_text("StrictHostKeyChecking no\nUserKnownHostsFile /dev/null\n"
                                   "LogLevel ERROR\nConnectTimeout 15\nBatchMode yes\n")
    for path in (folder, folder / "id_ed25519", folder / "config"):
        os.chown(path, identity.pw_uid, identity.pw_gid)
        path.chmod(0o700 if path.is_dir() else 0o600)


def command(step, host, options):
    """Any other program: 'name', 'run' (a list), 'user', 'port' that it listens on when ready."""
    if step == "servers":
        port = options.get("port")
        host.start(options["name"], options["run"], user=options.get("user"),
                   ready=(lambda: host.listens(port)) if port else None)


def plc(step, host, options):
    """A press and its controller, which speaks Modbus/TCP on 502 and has a hole (lab/modbus/plc.py)."""
    if step == "servers":
        host.start("plc", ["/usr/bin/python3", modbus_tool(host, "plc.py")], ready=lambda: host.listens(502))


def modbus(step, host, options):
    """'name' asks 'server' for 'requests' (lab/modbus/wire.py), again after 'every' seconds, as 'user'."""
    if step == "clients":
        log = host.path(f"/var/log/{options['name']}.log")
        host.start(options["name"], ["/usr/bin/python3", modbus_tool(host, "client.py"), "--every", options["every"],
                                     options["server"], *options["requests"]], user=options.get("user"),
                   ready=lambda: '"ok"' in log.read_text())


KINDS = {"plc": plc, "modbus": modbus, "web": web, "postgres": postgres, "orders": orders, "till": till, "share": share,
         "sshd": sshd, "command": command}
