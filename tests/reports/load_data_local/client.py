# A file of more packets than there are numbers, of lines that begin as commands do, and statements behind it: prints for each what the
# server said, `ok` or the number of the error.
import os
import sys
import tempfile

import pymysql

connection = pymysql.connect(host="127.0.0.1", port=int(sys.argv[1]), user="root", local_infile=True, autocommit=True)
cursor = connection.cursor()


def ask(what, sql):
    try:
        cursor.execute(sql)
        cursor.fetchall()
        print(what, "ok")
    except pymysql.err.MySQLError as error:
        print(what, error.args[0])


# PyMySQL sends 16 KiB in a packet: each begins with the code of a query.
packet = 16384
line = b"\x03SELECT hunter2 FROM secrets\t"
block = line + b"x" * (packet - len(line) - 1) + b"\n"
with tempfile.NamedTemporaryFile(delete=False) as file:
    file.write(block * 600)
cursor.execute("CREATE DATABASE shop")
ask("CREATE shop.loaded", "CREATE TABLE shop.loaded (a varchar(64), b longtext)")
ask("LOAD shop.loaded", f"LOAD DATA LOCAL INFILE '{file.name}' INTO TABLE shop.loaded")
os.unlink(file.name)
ask("SELECT shop.loaded", "SELECT count(*) FROM shop.loaded")
ask("SELECT shop.nowhere", "SELECT * FROM shop.nowhere")
ask("INSERT shop.loaded", "INSERT INTO shop.loaded VALUES ('hunter2', '')")
connection.close()
