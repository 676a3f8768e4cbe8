// Fails, and names no reason: the harness must refuse the case.
int main() { return undeclared; }
