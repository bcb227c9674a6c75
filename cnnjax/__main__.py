"""The console command: `python -m cnnjax train …` is `cnnjax train …`."""

from cnnjax.commands.__main__ import main

if __name__ == "__main__":
    main()
