# COPY by the extended protocol, and statements behind it: prints for each what the server said, `ok` or the SQLSTATE.
import sys
from psycopg import pq

connection = pq.PGconn.connect(f"host=127.0.0.1 port={sys.argv[1]} user=postgres dbname=postgres sslmode=disable".encode())
assert connection.status == pq.ConnStatus.OK, connection.error_message


def said(result):
    code = result.error_field(pq.DiagnosticField.SQLSTATE)
    return code.decode() if code else "ok"


def copy(lines, end):
    result = connection.exec_params(b"COPY copied FROM STDIN", None)
    assert result.status == pq.ExecStatus.COPY_IN, result.error_message
    connection.put_copy_data(lines)
    connection.put_copy_end(end)
    results = []
    while result := connection.get_result():
        results.append(said(result))
    print("COPY copied", results[0])


def ask(what, sql):
    print(what, said(connection.exec_(sql)))


ask("CREATE copied", b"CREATE TABLE copied (a int)")
copy(b"1\n2\n3\n", None)
ask("SELECT copied", b"SELECT a FROM copied")
copy(b"1\nnone\n", None)
ask("UPDATE copied", b"UPDATE copied SET a = a / 0")
copy(b"1\n", b"given up")
print("DELETE copied", said(connection.exec_params(b"DELETE FROM copied WHERE a > $1", [b"2"])))
ask("INSERT copied", b"INSERT INTO copied VALUES (9)")
connection.finish()
